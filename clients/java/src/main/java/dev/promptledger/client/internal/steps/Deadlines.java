package dev.promptledger.client.internal.steps;

import dev.promptledger.client.internal.Protos;
import dev.promptledger.v1.ExecutionSpec;
import java.time.Duration;
import java.util.List;

/** How long calls may take that execute within the call. */
public final class Deadlines {
    /** As the server's defaults: how long a provider's call may take, and the delays before each retry. */
    private static final Duration PROVIDER_TIMEOUT = Duration.ofSeconds(120);

    private static final List<Duration> RETRY_DELAYS =
            List.of(Duration.ofSeconds(5), Duration.ofSeconds(30), Duration.ofSeconds(120));
    /** For everything but calls of the provider and delays. */
    private static final Duration MARGIN = Duration.ofSeconds(10);
    /** The server refuses more retries than it allows: beyond these the deadline grows no more. */
    private static final int MOST_RETRIES = 1_000;

    /** Longer than a server allows a call of the provider to take. */
    private static final Duration LONGEST = Duration.ofDays(365);

    private Deadlines() {}

    /** All attempts that the spec allows, the delays between them, and a margin. */
    public static Duration of(ExecutionSpec spec) {
        var once = spec.hasTimeout() ? Protos.duration(spec.getTimeout()) : PROVIDER_TIMEOUT;
        var retries = Math.min(Math.max(spec.getMaxRetries(), 0), MOST_RETRIES);
        var bounded = once.compareTo(LONGEST) < 0 ? once : LONGEST;
        var limit = bounded.multipliedBy(1L + retries).plus(MARGIN);
        for (var retry = 0; retry < retries; retry++) {
            // A server may be set to more retries than these; each of them waits as long as the last.
            limit = limit.plus(RETRY_DELAYS.get(Math.min(retry, RETRY_DELAYS.size() - 1)));
        }
        return limit;
    }
}
