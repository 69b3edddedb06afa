package dev.promptledger.client.internal;

import dev.promptledger.client.errors.InvalidOptionsException;
import io.grpc.ClientInterceptor;
import java.time.Duration;
import java.util.List;

/**
 * The options of a client, checked.
 *
 * @param server as it was named
 * @param target what the channel is made of
 * @param trackingOnly whether all prompts are in code
 * @param timeout of calls that answer once, in nanoseconds like the two that follow
 * @param patience of watches
 * @param silence of streams
 * @param interceptors around every call
 * @param logger told of calls
 */
public record Settings(
        String server,
        Target target,
        boolean trackingOnly,
        long timeout,
        long patience,
        long silence,
        List<ClientInterceptor> interceptors,
        System.Logger logger) {
    /** A time of the options, in nanoseconds. */
    public static long positive(String name, Duration duration) {
        if (duration.isNegative() || duration.isZero()) {
            throw new InvalidOptionsException(name + " is to be more than 0");
        }
        return nanos(duration);
    }

    /** In nanoseconds; what is longer than those can say has no end. */
    public static long nanos(Duration duration) {
        try {
            return duration.toNanos();
        } catch (ArithmeticException tooLong) {
            return Long.MAX_VALUE;
        }
    }
}
