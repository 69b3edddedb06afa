package dev.promptledger.client;

import dev.promptledger.client.internal.Enums;

/** Where a prompt lives. */
public enum PromptMode {
    /** Not told, or of a newer server than this client knows. */
    UNKNOWN,
    /** In the ledger. */
    FULL,
    /** In application code. */
    TRACKING;

    // In the order of the contract's numbers.
    private static final PromptMode[] BY_NUMBER = values();

    static PromptMode of(int number) {
        return Enums.of(BY_NUMBER, number);
    }
}
