package dev.promptledger.client;

import dev.promptledger.client.internal.Enums;

/** Whether who asked for an execution waits for it. */
public enum ExecutionMode {
    /** Not told, or of a newer server than this client knows. */
    UNKNOWN,
    /** Executed within the call. */
    SYNC,
    /** Handed over to a worker. */
    ASYNC;

    // In the order of the contract's numbers.
    private static final ExecutionMode[] BY_NUMBER = values();

    static ExecutionMode of(int number) {
        return Enums.of(BY_NUMBER, number);
    }
}
