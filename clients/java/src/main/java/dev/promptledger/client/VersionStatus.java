package dev.promptledger.client;

import dev.promptledger.client.internal.Enums;

/** Where a version is in its life. */
public enum VersionStatus {
    /** Not told, or of a newer server than this client knows. */
    UNKNOWN,
    /** Never activated yet. */
    DRAFT,
    /** Activated at least once, and not retired. */
    ACTIVE,
    /** Retired; it can still be executed by its number. */
    DEPRECATED;

    // In the order of the contract's numbers.
    private static final VersionStatus[] BY_NUMBER = values();

    static VersionStatus of(int number) {
        return Enums.of(BY_NUMBER, number);
    }
}
