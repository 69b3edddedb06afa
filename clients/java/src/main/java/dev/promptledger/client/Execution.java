package dev.promptledger.client;

import dev.promptledger.client.errors.ExecutionFailedException;
import dev.promptledger.client.internal.Protos;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * One execution. A failed one is a result like any other: {@link #raiseForStatus()} makes it an error. Texts are empty where
 * there are none.
 *
 * @param raw the message of the contract, with all that is known
 * @param reused whether the idempotency key found it
 */
public record Execution(dev.promptledger.v1.Execution raw, boolean reused) {
    Execution(dev.promptledger.v1.Execution raw) {
        this(raw, false);
    }

    public String id() {
        return raw.getExecutionId();
    }

    public String promptName() {
        return raw.getPromptName();
    }

    public int versionNumber() {
        return raw.getVersionNumber();
    }

    public ExecutionStatus status() {
        return ExecutionStatus.of(raw.getStatusValue());
    }

    public ExecutionMode mode() {
        return ExecutionMode.of(raw.getModeValue());
    }

    /** What the model answered; of one that did not succeed, what there was until then. */
    public String text() {
        return raw.getResponseText();
    }

    /** The calls of tools that the model asks for. */
    public List<ToolCall> toolCalls() {
        return raw.getResponseToolCallsList().stream().map(ToolCall::of).toList();
    }

    /** Why the model stopped, such as {@code stop}, {@code length} or {@code tool_calls}. */
    public String finishReason() {
        return raw.getFinishReason();
    }

    /** What went wrong, in one word, such as {@code rate_limited} or {@code timeout}. */
    public String errorType() {
        return raw.getErrorType();
    }

    /** What went wrong, in a sentence. */
    public String errorMessage() {
        return raw.getErrorMessage();
    }

    public String cancelReason() {
        return raw.getCancelReason();
    }

    /** How many attempts were made. */
    public int attempts() {
        return raw.getAttempts();
    }

    /** The label that selected the version. */
    public String label() {
        return raw.getLabel();
    }

    /** Identifies the content that was executed. */
    public String checksumHash() {
        return raw.getChecksumHash();
    }

    public String environment() {
        return raw.getEnvironment();
    }

    public String correlationId() {
        return raw.getCorrelationId();
    }

    public String idempotencyKey() {
        return raw.getIdempotencyKey();
    }

    /** What the caller gave it to be found by. */
    public Map<String, String> metadata() {
        return raw.getMetadataMap();
    }

    /** The text that was sent to the model. */
    public String renderedPrompt() {
        return raw.getRenderedPrompt();
    }

    public OptionalInt promptTokens() {
        return raw.hasPromptTokens() ? OptionalInt.of(raw.getPromptTokens()) : OptionalInt.empty();
    }

    public OptionalInt responseTokens() {
        return raw.hasResponseTokens() ? OptionalInt.of(raw.getResponseTokens()) : OptionalInt.empty();
    }

    /** Of the provider's call. */
    public Optional<Duration> latency() {
        return raw.hasLatencyMs() ? Optional.of(Duration.ofMillis(raw.getLatencyMs())) : Optional.empty();
    }

    /** In billionths of a US dollar. */
    public OptionalLong costNanoUsd() {
        return raw.hasCostNanoUsd() ? OptionalLong.of(raw.getCostNanoUsd()) : OptionalLong.empty();
    }

    public Instant createdAt() {
        return Protos.instant(raw.getCreatedAt());
    }

    public Optional<Instant> completedAt() {
        return raw.hasCompletedAt() ? Optional.of(Protos.instant(raw.getCompletedAt())) : Optional.empty();
    }

    public boolean succeeded() {
        return status() == ExecutionStatus.SUCCEEDED;
    }

    /**
     * Returns itself where it succeeded or has not ended.
     *
     * @throws ExecutionFailedException where it failed or was canceled
     */
    public Execution raiseForStatus() {
        if (status() == ExecutionStatus.FAILED || status() == ExecutionStatus.CANCELED) {
            throw new ExecutionFailedException(this);
        }
        return this;
    }

    /** The id and the status alone: texts may be private. */
    @Override
    public String toString() {
        return "Execution[" + id() + ", " + status() + "]";
    }
}
