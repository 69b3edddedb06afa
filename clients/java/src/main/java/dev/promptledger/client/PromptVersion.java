package dev.promptledger.client;

import dev.promptledger.client.internal.Protos;
import dev.promptledger.v1.TemplateVariable;
import dev.promptledger.v1.VersionConfig;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * One content of a prompt. It never changes; its status and its labels may. Texts are empty where there are none.
 *
 * @param raw the message of the contract
 */
public record PromptVersion(dev.promptledger.v1.PromptVersion raw) {
    public String promptName() {
        return raw.getPromptName();
    }

    public int number() {
        return raw.getVersionNumber();
    }

    public VersionStatus status() {
        return VersionStatus.of(raw.getStatusValue());
    }

    /** The text; empty where the content is a chat. */
    public String template() {
        return raw.getTemplateSource();
    }

    /** The entries of a chat; empty where the content is a text. */
    public List<ChatEntry> chat() {
        return ChatEntry.of(raw.getChatTemplate());
    }

    public TemplateFormat templateFormat() {
        return TemplateFormat.of(raw.getTemplateFormatValue());
    }

    /** What the content was tuned with; empty where there is nothing. */
    public Optional<VersionConfig> config() {
        return raw.hasConfig() ? Optional.of(raw.getConfig()) : Optional.empty();
    }

    /** Identifies the content within the prompt. */
    public String checksumHash() {
        return raw.getChecksumHash();
    }

    /** The names of the variables that the template reads. */
    public List<String> variables() {
        return raw.getVariablesList().stream().map(TemplateVariable::getName).toList();
    }

    /** The labels that point at it. */
    public List<String> labels() {
        return raw.getLabelsList();
    }

    public String note() {
        return raw.getNote();
    }

    public String createdBy() {
        return raw.getCreatedBy();
    }

    public Instant createdAt() {
        return Protos.instant(raw.getCreatedAt());
    }

    /** How many executions of it are recorded; in a history only. */
    public OptionalLong executionCount() {
        return raw.hasExecutionCount() ? OptionalLong.of(raw.getExecutionCount()) : OptionalLong.empty();
    }

    @Override
    public String toString() {
        return "PromptVersion[" + promptName() + ", " + number() + "]";
    }
}
