package dev.promptledger.client;

import dev.promptledger.client.internal.Enums;

/** Where an execution stands. */
public enum ExecutionStatus {
    /** Not told, or of a newer server than this client knows. */
    UNKNOWN,
    /** It waits for a worker, or for its next attempt. */
    QUEUED,
    /** An attempt is under way. */
    RUNNING,
    /** The model has answered. */
    SUCCEEDED,
    /** No attempt is left. */
    FAILED,
    /** Someone canceled it. */
    CANCELED;

    // In the order of the contract's numbers.
    private static final ExecutionStatus[] BY_NUMBER = values();

    static ExecutionStatus of(int number) {
        return Enums.of(BY_NUMBER, number);
    }
}
