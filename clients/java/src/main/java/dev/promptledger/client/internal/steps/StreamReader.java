package dev.promptledger.client.internal.steps;

import java.util.Queue;

/**
 * Reads the messages of several streams as one sequence of updates.
 *
 * @param <M> a message
 * @param <U> an update
 */
public interface StreamReader<M, U> {
    /** The next stream to open. */
    StreamCall<?, ?, M> ask();

    /** Another stream begins. */
    default void begins() {}

    /** Reads a message and adds what is new to {@code updates}. */
    Taken take(M message, Queue<U> updates);

    /** Whether a broken stream may be resumed by another. */
    default boolean resumes() {
        return true;
    }

    /** A stream broke. Returns whether another one may be opened all the same, though the rules for streams say no. */
    default boolean broke(Failure failure, Queue<U> updates) {
        return false;
    }
}
