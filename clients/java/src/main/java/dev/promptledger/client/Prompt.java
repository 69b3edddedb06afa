package dev.promptledger.client;

import dev.promptledger.client.internal.Protos;
import java.time.Instant;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A prompt, with the version that came with it.
 *
 * @param raw the message of the contract
 * @param version the active version, or the one that was asked for; empty where there is none, or the call does not tell
 */
public record Prompt(dev.promptledger.v1.Prompt raw, Optional<PromptVersion> version) {
    Prompt(dev.promptledger.v1.Prompt raw, dev.promptledger.v1.PromptVersion version) {
        this(raw, Optional.ofNullable(version).map(PromptVersion::new));
    }

    public String name() {
        return raw.getName();
    }

    public PromptMode mode() {
        return PromptMode.of(raw.getModeValue());
    }

    public String description() {
        return raw.getDescription();
    }

    public String ownerTeam() {
        return raw.getOwnerTeam();
    }

    public List<String> tags() {
        return raw.getTagsList();
    }

    /** The number of the active version. */
    public OptionalInt activeVersion() {
        return raw.hasActiveVersionNumber() ? OptionalInt.of(raw.getActiveVersionNumber()) : OptionalInt.empty();
    }

    /** The highest version number; 0 where there is none yet. */
    public int latestVersion() {
        return raw.getLatestVersionNumber();
    }

    /** The version number that each label points at. */
    public Map<String, Integer> labels() {
        var labels = new LinkedHashMap<String, Integer>();
        raw.getLabelsList().forEach(label -> labels.put(label.getLabel(), label.getVersionNumber()));
        return Collections.unmodifiableMap(labels);
    }

    /** Changes with each write; send it back with a write to make sure that nobody wrote in between. */
    public String etag() {
        return raw.getEtag();
    }

    /** The project's revision at which the prompt last changed. */
    public long revision() {
        return raw.getRevision();
    }

    public Optional<Instant> archivedAt() {
        return raw.hasArchivedAt() ? Optional.of(Protos.instant(raw.getArchivedAt())) : Optional.empty();
    }

    public Instant createdAt() {
        return Protos.instant(raw.getCreatedAt());
    }

    public Instant updatedAt() {
        return Protos.instant(raw.getUpdatedAt());
    }

    @Override
    public String toString() {
        return "Prompt[" + name() + "]";
    }
}
