package dev.promptledger.client;

/** What a watch of an execution tells. */
public sealed interface Update permits StateChange, Update.Joined, Update.Restarted, Update.Text, Update.Ended {
    /**
     * The idempotency key found an execution that exists: the updates are those of that one.
     *
     * @param executionId of that execution
     */
    record Joined(String executionId) implements Update {}

    /**
     * Another attempt writes: drop the text that you have.
     *
     * @param attempt the number of the attempt, from 1
     */
    record Restarted(int attempt) implements Update {}

    /**
     * More text, to be appended. Before {@link Ended} all of the response's text has come, also where it was not streamed.
     *
     * @param attempt the number of the attempt that wrote it
     * @param offset where it begins, in UTF-8 bytes of the attempt's text
     * @param text never empty
     */
    record Text(int attempt, int offset, String text) implements Update {}

    /**
     * The execution after its end; the last update.
     *
     * @param execution with all of its text
     */
    record Ended(Execution execution) implements Update {}
}
