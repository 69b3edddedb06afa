package dev.promptledger.client.internal.steps;

/** What to do once the updates have been read. */
public sealed interface Next {
    Next READ = new Read();
    Next OVER = new Over();

    /** Read on. */
    record Read() implements Next {}

    /** It is over. */
    record Over() implements Next {}

    /** Open another stream, after so many nanoseconds. */
    record Reopen(long delay) implements Next {}
}
