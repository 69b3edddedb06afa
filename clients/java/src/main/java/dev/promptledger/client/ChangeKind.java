package dev.promptledger.client;

import dev.promptledger.client.internal.Enums;

/** What a change of a prompt was. */
public enum ChangeKind {
    /** Not told, or of a newer server than this client knows. */
    UNKNOWN,
    /** The prompt was created. */
    CREATED,
    /** A version was written. */
    VERSION_CREATED,
    /** A version was made the active one. */
    ACTIVATED,
    /** A version was retired, or that was taken back. */
    STATUS,
    /** A label was set. */
    LABEL_SET,
    /** A label was removed. */
    LABEL_REMOVED,
    /** Description, team or tags were written. */
    METADATA,
    /** The prompt was archived. */
    ARCHIVED,
    /** The prompt was taken out of the archive. */
    UNARCHIVED,
    /** The prompt was moved to the other mode. */
    MODE_MIGRATED;

    // In the order of the contract's numbers.
    private static final ChangeKind[] BY_NUMBER = values();

    static ChangeKind of(int number) {
        return Enums.of(BY_NUMBER, number);
    }
}
