package dev.promptledger.client;

import dev.promptledger.client.internal.Protos;
import dev.promptledger.v1.PromptChangeEntry;
import java.time.Instant;
import java.util.OptionalInt;

/**
 * An entry of the change log. Texts are empty where there are none.
 *
 * @param raw the message of the contract
 */
public record PromptChange(PromptChangeEntry raw) {
    public String promptName() {
        return raw.getPromptName();
    }

    public ChangeKind kind() {
        return ChangeKind.of(raw.getKindValue());
    }

    public OptionalInt versionNumber() {
        return raw.hasVersionNumber() ? OptionalInt.of(raw.getVersionNumber()) : OptionalInt.empty();
    }

    public String label() {
        return raw.getLabel();
    }

    public String from() {
        return raw.getFromValue();
    }

    public String to() {
        return raw.getToValue();
    }

    /** Who made it, as the caller told. */
    public String createdBy() {
        return raw.getCreatedBy();
    }

    /** The name of the API key that it was made with. */
    public String keyName() {
        return raw.getKeyName();
    }

    public long revision() {
        return raw.getRevision();
    }

    public Instant at() {
        return Protos.instant(raw.getAt());
    }
}
