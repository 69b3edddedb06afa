package dev.promptledger.client.internal.steps;

import dev.promptledger.client.Execution;
import dev.promptledger.client.StateChange;
import dev.promptledger.client.Update;
import dev.promptledger.client.errors.ClientClosedException;

/** What a reader of an execution's updates has so far: its text, its id once that is known, and itself once it has ended. */
public final class ExecutionText {
    private String executionId;
    private final StringBuilder text = new StringBuilder();
    private Execution execution;

    /** {@code executionId}: empty where it is not known. */
    public ExecutionText(String executionId) {
        this.executionId = executionId;
    }

    public void take(Update update) {
        if (update instanceof Update.Text more) {
            text.append(more.text());
        } else if (update instanceof Update.Restarted) {
            text.setLength(0);
        } else if (update instanceof Update.Joined joined) {
            executionId = joined.executionId();
        } else if (update instanceof StateChange change) {
            executionId = change.executionId();
        } else if (update instanceof Update.Ended ended) {
            execution = ended.execution();
            executionId = execution.id();
        }
    }

    public String executionId() {
        return executionId;
    }

    /** Of the present attempt. */
    public String text() {
        return text.toString();
    }

    public boolean hasEnded() {
        return execution != null;
    }

    /** The execution, where the updates are over. */
    public Execution ended() {
        if (execution == null) {
            throw new ClientClosedException("the updates were closed before the execution ended");
        }
        return execution;
    }
}
