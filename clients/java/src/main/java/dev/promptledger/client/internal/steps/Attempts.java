package dev.promptledger.client.internal.steps;

import dev.promptledger.client.errors.LedgerException;
import java.util.OptionalLong;

/** The attempts of one call that answers once, within its limit. Times are nanoseconds. */
public final class Attempts {
    private final long ends;
    private final boolean freely;
    private final RetryWindow window;

    /** {@code freely}: whether the call may be done twice. */
    public Attempts(long limit, long began, boolean freely) {
        this.ends = began + limit;
        this.freely = freely;
        this.window = new RetryWindow(limit);
    }

    /** The deadline of the next attempt. */
    public long left(long now) {
        return Math.max(ends - now, 0);
    }

    /** How long to wait before the next attempt; empty where there is none. */
    public OptionalLong delay(LedgerException error, Moment moment) {
        var verdict = Verdict.ofCall(error, freely);
        if (!verdict.again()) {
            return OptionalLong.empty();
        }
        var delay = window.delay(verdict.asked(), moment);
        return delay.isPresent() && delay.getAsLong() < left(moment.now()) ? delay : OptionalLong.empty();
    }
}
