package dev.promptledger.client;

import java.util.function.Consumer;

/** Which version; the active one where nothing is given. */
public final class VersionSelector {
    /** Null, as the two that follow: not selected by it. */
    Integer version;

    String label;
    String checksumHash;
    /** Null: none. */
    Long minRevision;

    VersionSelector() {}

    static VersionSelector of(Consumer<? super VersionSelector> options) {
        var result = new VersionSelector();
        options.accept(result);
        return result;
    }

    private void checkNone() {
        if (version != null || label != null || checksumHash != null) {
            throw new IllegalArgumentException(
                    "version, label and checksumHash select a version each: give one of them");
        }
    }

    /** The version by its number. */
    public VersionSelector version(int number) {
        checkNone();
        version = number;
        return this;
    }

    /** The version that a label points at. */
    public VersionSelector label(String label) {
        checkNone();
        this.label = label;
        return this;
    }

    /** The version with that content. */
    public VersionSelector checksumHash(String hash) {
        checkNone();
        checksumHash = hash;
        return this;
    }

    /** The least revision to read at, as a write told it. */
    public VersionSelector minRevision(long revision) {
        minRevision = revision;
        return this;
    }
}
