package dev.promptledger.client;

import dev.promptledger.client.internal.Enums;

/** What registering a prompt came to. */
public enum RegistrationAction {
    /** Not told, or of a newer server than this client knows. */
    UNKNOWN,
    /** The prompt was created. */
    NEW,
    /** A version was written. */
    UPDATED,
    /** An earlier version was made the active one again. */
    REACTIVATED,
    /** Nothing was written. */
    UNCHANGED;

    // In the order of the contract's numbers.
    private static final RegistrationAction[] BY_NUMBER = values();

    static RegistrationAction of(int number) {
        return Enums.of(BY_NUMBER, number);
    }
}
