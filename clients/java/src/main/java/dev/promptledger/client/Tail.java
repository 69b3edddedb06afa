package dev.promptledger.client;

import dev.promptledger.client.internal.Following;
import dev.promptledger.client.internal.Transport;
import dev.promptledger.client.internal.steps.Tailer;
import java.util.Iterator;
import java.util.NoSuchElementException;

/**
 * What happens to all executions that match, without end: it can be iterated over once, until it is closed. Broken connections and
 * restarts of servers cause a delay and no error. One thread reads; any may close it.
 */
public final class Tail implements Iterable<TailUpdate>, Iterator<TailUpdate>, AutoCloseable {
    private final Following<?, TailUpdate> following;
    /** Was read, and is not given yet. */
    private TailUpdate ahead;

    Tail(Transport transport, Tailer tailer) {
        this.following = new Following<>(transport, tailer, transport.settings().patience());
    }

    /** Itself. */
    @Override
    public Iterator<TailUpdate> iterator() {
        return this;
    }

    /** Waits for the next update; false once it was closed. */
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
    public TailUpdate next() {
        if (!hasNext()) {
            throw new NoSuchElementException();
        }
        var update = ahead;
        ahead = null;
        return update;
    }

    /** Hangs up. */
    @Override
    public void close() {
        following.close();
    }
}
