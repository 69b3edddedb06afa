package dev.promptledger.client.internal;

import dev.promptledger.client.errors.CancelledException;
import dev.promptledger.client.errors.ClientClosedException;
import dev.promptledger.client.errors.ErrorDetails;
import dev.promptledger.client.errors.LedgerException;
import dev.promptledger.client.internal.steps.Attempts;
import dev.promptledger.client.internal.steps.Moment;
import dev.promptledger.client.internal.steps.StreamCall;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ConnectivityState;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** A connection, made with the first call and again when it breaks. Threads may share it. */
public final class Transport implements AutoCloseable {
    private final Settings settings;
    private final ManagedChannel channel;
    /** Completed when the client is closed. */
    private final CompletableFuture<Void> closing = new CompletableFuture<>();

    public Transport(Settings settings) {
        this.settings = settings;
        this.channel = Channels.open(settings);
    }

    public Settings settings() {
        return settings;
    }

    /** Its calls carry the key. */
    public Channel channel() {
        return channel;
    }

    /** Makes a call, and again where that is of use, until its limit. */
    public <Q, A, T> T call(Call<Q, A, T> call) {
        var began = System.nanoTime();
        var limit = call.limit() == null ? settings.timeout() : Settings.nanos(call.limit());
        var attempts = new Attempts(limit, began, call.freely());
        while (true) {
            LedgerException error;
            var sent = new SentFlag();
            try {
                var answer = attempt(call, attempts.left(System.nanoTime()), sent);
                log(Level.DEBUG, call, "OK", began, OptionalLong.empty());
                return call.read().apply(answer);
            } catch (StatusRuntimeException failure) {
                error = Errors.of(failure.getStatus(), failure.getTrailers(), sent.isSet());
            }
            checkOpen();
            var delay = attempts.delay(error, moment());
            log(delay.isPresent() ? Level.INFO : Level.DEBUG, call, name(error), began, delay);
            if (delay.isEmpty()) {
                throw error;
            }
            sleep(delay.getAsLong(), closing);
        }
    }

    private <Q, A> A attempt(Call<Q, A, ?> call, long left, SentFlag sent) {
        checkOpen();
        connectAnew();
        var options = CallOptions.DEFAULT
                .withDeadlineAfter(left, TimeUnit.NANOSECONDS)
                .withStreamTracerFactory(sent);
        return ClientCalls.blockingUnaryCall(channel, call.method(), options, call.request());
    }

    /** Opens a stream. One that is resumed by another one breaks when its buffer is full. */
    <Q, A, M> ServerStream<A, M> open(StreamCall<Q, A, M> call, boolean resumes) {
        checkOpen();
        connectAnew();
        var sent = new SentFlag();
        var opened = channel.newCall(call.method(), CallOptions.DEFAULT.withStreamTracerFactory(sent));
        return ServerStream.start(opened, call, sent, resumes);
    }

    /**
     * The layer paces what it tries again: where a connection has failed, a new one is made with the next call, and not when
     * gRPC's own delay is over.
     */
    private void connectAnew() {
        if (channel.getState(false) == ConnectivityState.TRANSIENT_FAILURE) {
            channel.enterIdle();
        }
    }

    /** Waits, at most until the client is closed or {@code orUntil} is completed. */
    void sleep(long nanos, CompletableFuture<Void> orUntil) {
        try {
            CompletableFuture.anyOf(closing, orUntil).get(nanos, TimeUnit.NANOSECONDS);
        } catch (TimeoutException elapsed) {
            // As long as asked for.
        } catch (ExecutionException neverFails) {
            throw new IllegalStateException(neverFails);
        } catch (InterruptedException interrupted) {
            throw interrupted();
        }
    }

    /** The error for a thread that was interrupted while it waited; the thread stays so. */
    static LedgerException interrupted() {
        Thread.currentThread().interrupt();
        return new CancelledException(ErrorDetails.of(Status.Code.CANCELLED, "the thread was interrupted"));
    }

    void checkOpen() {
        if (closing.isDone()) {
            throw new ClientClosedException("the client was closed");
        }
    }

    static Moment moment() {
        return new Moment(System.nanoTime(), ThreadLocalRandom.current().nextDouble());
    }

    /** Ends all calls and streams. */
    @Override
    public void close() {
        closing.complete(null);
        channel.shutdownNow();
    }

    private static String name(LedgerException error) {
        return error.reason().isEmpty() ? error.code().name() : error.reason();
    }

    private void log(Level level, Call<?, ?, ?> call, String result, long began, OptionalLong delay) {
        if (settings.logger().isLoggable(level)) {
            var method = call.method().getBareMethodName();
            var after = Duration.ofNanos(System.nanoTime() - began).toMillis();
            var again = delay.isPresent()
                    ? ", again in " + Duration.ofNanos(delay.getAsLong()).toMillis() + " ms"
                    : "";
            settings.logger().log(level, method + ": " + result + " after " + after + " ms" + again);
        }
    }
}
