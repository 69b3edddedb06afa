package dev.promptledger.client.internal.steps;

import java.time.Duration;
import java.util.OptionalLong;

/** Bounds how long to try again without progress. Times are nanoseconds. */
final class RetryWindow {
    /** The delay after the first failure, and the longest one; between them it doubles. */
    private static final long FIRST = Duration.ofMillis(100).toNanos();

    private static final long LONGEST = Duration.ofSeconds(5).toNanos();
    /** The longest delay that a server is granted; the shortest is the first one. */
    private static final Duration LONGEST_ASKED = Duration.ofHours(1);

    private final long limit;
    private boolean isFailing;
    private long failingSince;
    private int failures;

    /** {@code limit}: {@link Long#MAX_VALUE} has no end. */
    RetryWindow(long limit) {
        this.limit = limit;
    }

    void progressed() {
        isFailing = false;
        failures = 0;
    }

    /** How long to wait before the next try; empty where the window ends before. */
    OptionalLong delay(Duration asked, Moment moment) {
        if (!isFailing) {
            isFailing = true;
            failingSince = moment.now();
        }
        double delay;
        if (asked != null) {
            // Never earlier than asked, and spread over time. A server that asks for no delay is not asked without one.
            var bounded = asked.compareTo(LONGEST_ASKED) < 0 ? asked : LONGEST_ASKED;
            var least = bounded.isNegative() ? FIRST : Math.max(bounded.toNanos(), FIRST);
            delay = least * (1 + 0.2 * moment.chance());
        } else {
            delay = Math.min(FIRST << Math.min(failures, 10), LONGEST) * (0.5 + 0.5 * moment.chance());
        }
        failures++;
        var whole = (long) delay;
        return failingFor(moment) + whole <= limit ? OptionalLong.of(whole) : OptionalLong.empty();
    }

    /** How long to wait before the next stream; throws where there is none. */
    long failed(Failure failure, Verdict verdict, Moment moment) {
        if (!verdict.again()) {
            throw Verdict.last(failure);
        }
        return delay(verdict.asked(), moment)
                .orElseThrow(() -> Verdict.gaveUp(
                        failure, Duration.ofNanos(failingFor(moment)).toSeconds()));
    }

    private long failingFor(Moment moment) {
        return moment.now() - failingSince;
    }
}
