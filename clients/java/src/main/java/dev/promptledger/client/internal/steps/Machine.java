package dev.promptledger.client.internal.steps;

import dev.promptledger.client.errors.UnreadableException;
import dev.promptledger.client.internal.steps.Failure.Broken;
import dev.promptledger.client.internal.steps.Failure.Refused;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Queue;

/**
 * The state of a watch: which updates it yields, and when it opens another stream.
 *
 * @param <M> a message
 * @param <U> an update
 */
public final class Machine<M, U> {
    private final StreamReader<M, U> reader;
    private final Queue<U> updates = new ArrayDeque<>();
    private final RetryWindow window;
    /** The present stream has delivered a message. */
    private boolean heard;

    /** {@code patience}: in nanoseconds; {@link Long#MAX_VALUE} has no end. */
    public Machine(StreamReader<M, U> reader, long patience) {
        this.reader = reader;
        this.window = new RetryWindow(patience);
    }

    /** Updates that have not been read yet. */
    public Queue<U> updates() {
        return updates;
    }

    /** Another stream was opened. */
    public void opened() {
        heard = false;
        reader.begins();
    }

    /** A message arrived. */
    public Next took(M message, Moment moment) {
        heard = true;
        switch (reader.take(message, updates)) {
            case NEWS -> window.progressed();
            case NOTHING -> {}
            case OVER -> {
                return Next.OVER;
            }
            case GAP -> {
                return failed(Broken.GAP, moment);
            }
            case UNREADABLE ->
                throw new UnreadableException(
                        "the execution ended in a way that this client does not know; a newer client is needed");
        }
        return Next.READ;
    }

    /** The stream broke, or could not be opened. Throws where no other one is opened. */
    public Next failed(Failure failure, Moment moment) {
        // What the server has not begun with can be asked for again, whatever it is.
        var untouched =
                !heard && failure instanceof Refused refused && refused.error().nothingBegan();
        if (!reader.resumes() && !untouched) {
            throw Verdict.last(failure);
        }
        var recovers = reader.broke(failure, updates) || untouched;
        var verdict = Verdict.ofStream(failure);
        if (recovers && !verdict.again()) {
            verdict = new Verdict(true, asked(failure));
        }
        // A stream that had begun, and was ended by a server that says when to come back, is no failure.
        if (heard && verdict.again() && verdict.asked() != null) {
            window.progressed();
        }
        heard = false;
        return new Next.Reopen(window.failed(failure, verdict, moment));
    }

    private static Duration asked(Failure failure) {
        return failure instanceof Refused refused ? refused.error().retryAfter().orElse(null) : null;
    }
}
