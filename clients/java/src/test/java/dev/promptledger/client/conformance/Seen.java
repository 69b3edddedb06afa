package dev.promptledger.client.conformance;

import dev.promptledger.client.ChatMessage;
import dev.promptledger.client.Execution;
import dev.promptledger.client.Handle;
import dev.promptledger.client.Prompt;
import dev.promptledger.client.PromptChange;
import dev.promptledger.client.PromptVersion;
import dev.promptledger.client.RegisteredPrompt;
import dev.promptledger.client.Rendered;
import dev.promptledger.client.StateChange;
import dev.promptledger.client.TailUpdate;
import dev.promptledger.client.Update;
import dev.promptledger.client.WrittenPrompt;
import dev.promptledger.client.errors.ClientException;
import dev.promptledger.client.errors.ExecutionFailedException;
import dev.promptledger.client.errors.LedgerException;
import dev.promptledger.client.errors.VariablesMissingException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/** What is printed of what a user sees. */
final class Seen {
    private Seen() {}

    /** Names and values, in turns. */
    private static Map<String, Object> line(Object... pairs) {
        var line = new LinkedHashMap<String, Object>();
        for (var index = 0; index < pairs.length; index += 2) {
            line.put((String) pairs[index], pairs[index + 1]);
        }
        return line;
    }

    private static Integer orNull(OptionalInt number) {
        return number.isPresent() ? number.getAsInt() : null;
    }

    static Map<String, Object> execution(Execution seen) {
        return line(
                "execution_id", seen.id(),
                "status", seen.status(),
                "mode", seen.mode(),
                "prompt_name", seen.promptName(),
                "version_number", seen.versionNumber(),
                "checksum_hash", seen.checksumHash(),
                "label", seen.label(),
                "text", seen.text(),
                "tool_calls", seen.toolCalls(),
                "finish_reason", seen.finishReason(),
                "error_type", seen.errorType(),
                "error_message", seen.errorMessage(),
                "attempts", seen.attempts(),
                "cancel_reason", seen.cancelReason(),
                "correlation_id", seen.correlationId(),
                "idempotency_key", seen.idempotencyKey(),
                "rendered_prompt", seen.renderedPrompt(),
                "reused", seen.reused());
    }

    static Map<String, Object> submitted(Handle seen) {
        return line("execution_id", seen.id(), "status", seen.status(), "reused", seen.reused());
    }

    static Map<String, Object> put(WrittenPrompt seen) {
        return line(
                "name", seen.prompt().name(),
                "version", seen.version().number(),
                "version_change", seen.versionChange(),
                "activated", seen.activated());
    }

    static Map<String, Object> prompt(Prompt seen) {
        return line(
                "name", seen.name(),
                "mode", seen.mode(),
                "description", seen.description(),
                "owner_team", seen.ownerTeam(),
                "tags", seen.tags(),
                "active_version", orNull(seen.activeVersion()),
                "latest_version", seen.latestVersion(),
                "labels", seen.labels(),
                "archived", seen.archivedAt().isPresent(),
                "template", seen.version().map(PromptVersion::template).orElse(null),
                "checksum_hash", seen.version().map(PromptVersion::checksumHash).orElse(null));
    }

    static Map<String, Object> version(PromptVersion seen) {
        var count = seen.executionCount();
        return line(
                "version", seen.number(),
                "status", seen.status(),
                "template", seen.template(),
                "checksum_hash", seen.checksumHash(),
                "labels", seen.labels(),
                "execution_count", count.isPresent() ? count.getAsLong() : null);
    }

    static Map<String, Object> rendered(Rendered seen) {
        return line("text", seen.text(), "messages", messages(seen.messages()));
    }

    private static List<Map<String, Object>> messages(List<ChatMessage> seen) {
        return seen.stream()
                .map(message -> line("role", message.role(), "content", message.content()))
                .toList();
    }

    static Map<String, Object> change(PromptChange seen) {
        return line(
                "name", seen.promptName(),
                "kind", seen.kind(),
                "version", orNull(seen.versionNumber()),
                "label", seen.label(),
                "from", seen.from(),
                "to", seen.to());
    }

    static Map<String, Object> registered(RegisteredPrompt seen) {
        return line(
                "name", seen.name(),
                "action", seen.action(),
                "version", seen.version(),
                "change_detected", seen.changeDetected(),
                "previous_version", orNull(seen.previousVersion()),
                "checksum_hash", seen.checksumHash());
    }

    /** An update of an execution or of a tail. */
    static Map<String, Object> update(Object update) {
        if (update instanceof Update.Text text) {
            return line("saw", "text", "text", text.text());
        } else if (update instanceof Update.Restarted restarted) {
            return line("saw", "restarted", "attempt", restarted.attempt());
        } else if (update instanceof Update.Joined joined) {
            return line("saw", "joined", "execution_id", joined.executionId());
        } else if (update instanceof StateChange change) {
            return state("state", change);
        } else if (update instanceof Update.Ended ended) {
            var line = line("saw", "result");
            line.putAll(execution(ended.execution()));
            return line;
        } else if (update instanceof TailUpdate.Found found) {
            return line(
                    "saw", "found",
                    "execution_id", found.execution().id(),
                    "sequence", found.sequence(),
                    "status", found.execution().status());
        } else if (update instanceof TailUpdate.Changed changed) {
            return state("changed", changed.change());
        } else if (update instanceof TailUpdate.Synced) {
            return line("saw", "synced");
        }
        throw new IllegalArgumentException("unknown update: " + update);
    }

    private static Map<String, Object> state(String saw, StateChange change) {
        return line(
                "saw", saw,
                "execution_id", change.executionId(),
                "sequence", change.sequence(),
                "from", change.from().orElse(null),
                "to", change.to(),
                "attempt", change.attempt(),
                "error_type", change.errorType(),
                "prompt_name", change.promptName());
    }

    static Map<String, Object> error(LedgerException error) {
        var name = error.getClass().getSimpleName();
        var line = line("saw", "error", "class", name.substring(0, name.length() - "Exception".length()));
        line.put("message", error.getMessage());
        if (error instanceof ExecutionFailedException failed) {
            line.put("execution_id", failed.execution().id());
            line.put("status", failed.execution().status());
            line.put("error_type", failed.execution().errorType());
            return line;
        }
        // As gRPC tells it of those that no server sent, but for what is this client's alone.
        line.put("code", error instanceof ClientException ? null : error.code());
        line.put("reason", error.reason());
        line.put("fields", error.fields());
        line.put("metadata", error.metadata());
        line.put(
                "retry_after",
                error.retryAfter().map(delay -> delay.toNanos() / 1e9).orElse(null));
        if (error instanceof VariablesMissingException variables) {
            line.put("missing", variables.missing());
        }
        return line;
    }
}
