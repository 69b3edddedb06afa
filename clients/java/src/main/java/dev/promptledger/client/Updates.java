package dev.promptledger.client;

import dev.promptledger.client.errors.DeadlineExceededException;
import dev.promptledger.client.internal.Following;
import dev.promptledger.client.internal.Settings;
import dev.promptledger.client.internal.Transport;
import dev.promptledger.client.internal.steps.ExecutionText;
import dev.promptledger.client.internal.steps.Follower;
import java.time.Duration;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * What happens to one execution, to its end: it can be iterated over once. Each state change comes once and in order; texts can be
 * appended as they come; the last update is {@link Update.Ended}. Broken connections and restarts of servers cause a delay and no
 * error.
 *
 * <p>One thread reads; any may close it. Of a {@code stream} without an idempotency key, closing it cancels the execution.
 */
public final class Updates implements Iterable<Update>, Iterator<Update>, AutoCloseable {
    private final Following<?, Update> following;
    private final ExecutionText read;
    /** Was read, and is not given yet. */
    private Update ahead;

    Updates(Transport transport, Follower follower) {
        this.following =
                new Following<>(transport, follower, transport.settings().patience());
        this.read = new ExecutionText(follower.executionId());
    }

    /** Itself. */
    @Override
    public Iterator<Update> iterator() {
        return this;
    }

    /** Waits for the next update; false at the end. */
    @Override
    public boolean hasNext() {
        if (ahead == null) {
            ahead = following.next();
        }
        return ahead != null;
    }

    /**
     * The next update.
     *
     * @throws dev.promptledger.client.errors.LedgerException where going on makes no sense; nothing follows it
     */
    @Override
    public Update next() {
        if (!hasNext()) {
            throw new NoSuchElementException();
        }
        return give();
    }

    private Update give() {
        var update = ahead;
        ahead = null;
        read.take(update);
        return update;
    }

    /** The execution; empty until it is known. */
    public String executionId() {
        return read.executionId();
    }

    /** The text that was read so far, of the present attempt. */
    public String text() {
        return read.text();
    }

    /** The text alone, as the model writes it. Where another attempt begins anew, {@link #text()} does so too. */
    public Stream<String> texts() {
        return StreamSupport.stream(spliterator(), false)
                .filter(Update.Text.class::isInstance)
                .map(update -> ((Update.Text) update).text());
    }

    /** Reads to the end, and returns the execution. */
    public Execution result() {
        while (hasNext()) {
            give();
        }
        return read.ended();
    }

    /**
     * Reads to the end, and returns the execution.
     *
     * @throws DeadlineExceededException where it did not end in time; it can be read on
     */
    public Execution result(Duration timeout) {
        var ends = System.nanoTime() + Settings.nanos(timeout);
        while (!read.hasEnded()) {
            if (ahead == null) {
                ahead = following.next(ends - System.nanoTime());
                if (ahead == null) {
                    break;
                }
            }
            give();
        }
        return read.ended();
    }

    /** Hangs up. */
    @Override
    public void close() {
        following.close();
    }
}
