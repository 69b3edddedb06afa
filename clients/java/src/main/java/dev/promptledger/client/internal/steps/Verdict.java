package dev.promptledger.client.internal.steps;

import dev.promptledger.client.errors.GaveUpException;
import dev.promptledger.client.errors.LedgerException;
import dev.promptledger.client.errors.NotResumableException;
import dev.promptledger.client.internal.steps.Failure.Refused;
import java.time.Duration;

/**
 * Whether to try again.
 *
 * @param again whether
 * @param asked the delay that the server asked for; null where it did not
 */
record Verdict(boolean again, Duration asked) {
    static final Verdict FINAL = new Verdict(false, null);
    static final Verdict AGAIN = new Verdict(true, null);

    /** Whether another stream is opened where one has failed. */
    static Verdict ofStream(Failure failure) {
        return failure instanceof Refused refused ? ofStream(refused.error()) : AGAIN;
    }

    private static Verdict ofStream(LedgerException error) {
        return switch (error.code()) {
            case UNAVAILABLE -> new Verdict(true, asked(error));
            case ABORTED -> error.reason().equals("SLOW_CONSUMER") ? AGAIN : FINAL;
            // The server gives each of its own errors a reason: without one, the connection broke.
            case UNKNOWN, INTERNAL, CANCELLED -> error.reason().isEmpty() ? AGAIN : FINAL;
            default -> FINAL;
        };
    }

    /** Whether a call that answers once is repeated: {@code freely} where it may be done twice, else where nothing began. */
    static Verdict ofCall(LedgerException error, boolean freely) {
        if (error.nothingBegan()) {
            return new Verdict(true, asked(error));
        }
        if (!freely) {
            return FINAL;
        }
        return switch (error.code()) {
            case RESOURCE_EXHAUSTED -> error.retryAfter().isPresent() ? new Verdict(true, asked(error)) : FINAL;
            case ABORTED -> FINAL;
            default -> ofStream(error);
        };
    }

    private static Duration asked(LedgerException error) {
        return error.retryAfter().orElse(null);
    }

    /** The error where no other stream is opened, though a break alone might have allowed it. */
    static LedgerException last(Failure failure) {
        if (failure instanceof Refused refused && !ofStream(failure).again()) {
            return refused.error();
        }
        return caused(
                new NotResumableException(
                        "the stream broke, and without an idempotency key nothing goes on: " + failure.cause()),
                failure);
    }

    /** The error after {@code seconds} of trying. */
    static LedgerException gaveUp(Failure failure, long seconds) {
        return caused(new GaveUpException("gave up after " + seconds + " s without news: " + failure.cause()), failure);
    }

    private static LedgerException caused(LedgerException error, Failure failure) {
        if (failure instanceof Refused refused) {
            error.initCause(refused.error());
        }
        return error;
    }
}
