package dev.promptledger.client.scripted;

import dev.promptledger.v1.Execution;
import dev.promptledger.v1.ExecutionEvent;
import dev.promptledger.v1.ExecutionHeartbeat;
import dev.promptledger.v1.ExecutionSnapshot;
import dev.promptledger.v1.ExecutionStateChanged;
import dev.promptledger.v1.ExecutionStatus;
import dev.promptledger.v1.ExecutionTextDelta;
import dev.promptledger.v1.ExecutionsSynced;
import dev.promptledger.v1.Prompt;
import dev.promptledger.v1.PromptChange;
import dev.promptledger.v1.PromptLabel;
import dev.promptledger.v1.PromptVersion;
import dev.promptledger.v1.PromptsHeartbeat;
import dev.promptledger.v1.PromptsSynced;
import dev.promptledger.v1.StreamExecutionResponse;
import dev.promptledger.v1.WatchExecutionResponse;
import dev.promptledger.v1.WatchExecutionsResponse;
import dev.promptledger.v1.WatchPromptsResponse;

/** Messages of streams, in short. */
public final class Events {
    public static final String ID = "0190163d-8694-739b-aea5-966c26f8ad91";

    private Events() {}

    private static ExecutionEvent.Builder event() {
        return ExecutionEvent.newBuilder().setExecutionId(ID);
    }

    public static ExecutionEvent snapshot(long through) {
        return event().setSnapshot(ExecutionSnapshot.newBuilder().setThroughSequence(through))
                .build();
    }

    public static ExecutionEvent reused(long through) {
        var snapshot =
                ExecutionSnapshot.newBuilder().setThroughSequence(through).setReused(true);
        return event().setSnapshot(snapshot).build();
    }

    public static ExecutionEvent text(int attempt, int offset, String text) {
        return event().setTextDelta(ExecutionTextDelta.newBuilder()
                        .setAttempt(attempt)
                        .setOffset(offset)
                        .setText(text))
                .build();
    }

    public static ExecutionEvent heartbeat(long through) {
        return event().setHeartbeat(ExecutionHeartbeat.newBuilder().setThroughSequence(through))
                .build();
    }

    public static ExecutionEvent synced(long seconds) {
        var event = event().setSynced(ExecutionsSynced.getDefaultInstance());
        event.getAtBuilder().setSeconds(seconds);
        return event.build();
    }

    public static ExecutionEvent state(long sequence, ExecutionStatus to) {
        return state(sequence, to, 1);
    }

    public static ExecutionEvent state(long sequence, ExecutionStatus to, int attempt) {
        return event().setSequence(sequence)
                .setStateChanged(ExecutionStateChanged.newBuilder().setTo(to).setAttempt(attempt))
                .build();
    }

    public static ExecutionEvent running(long sequence) {
        return state(sequence, ExecutionStatus.EXECUTION_STATUS_RUNNING);
    }

    public static ExecutionEvent at(ExecutionEvent event, long seconds) {
        var changed = event.toBuilder();
        changed.getAtBuilder().setSeconds(seconds);
        return changed.build();
    }

    public static ExecutionEvent end(long sequence, String response) {
        return end(sequence, response, 1);
    }

    public static ExecutionEvent end(long sequence, String response, int attempt) {
        var event = state(sequence, ExecutionStatus.EXECUTION_STATUS_SUCCEEDED, attempt).toBuilder();
        event.getStateChangedBuilder().setExecution(execution(response));
        return event.setTerminal(true).build();
    }

    public static Execution execution(String response) {
        return Execution.newBuilder()
                .setExecutionId(ID)
                .setPromptName("greet")
                .setStatus(ExecutionStatus.EXECUTION_STATUS_SUCCEEDED)
                .setResponseText(response)
                .build();
    }

    public static WatchExecutionResponse watched(ExecutionEvent event) {
        return WatchExecutionResponse.newBuilder().setEvent(event).build();
    }

    public static StreamExecutionResponse streamed(ExecutionEvent event) {
        return StreamExecutionResponse.newBuilder().setEvent(event).build();
    }

    public static WatchExecutionsResponse tailed(ExecutionEvent event) {
        return WatchExecutionsResponse.newBuilder().setEvent(event).build();
    }

    /** A prompt's state: the first number is the active version, the label (unless empty) points at the last one. */
    public static WatchPromptsResponse prompt(long revision, String name, String label, int... numbers) {
        var prompt = Prompt.newBuilder().setPromptId(name).setName(name);
        var change = PromptChange.newBuilder();
        for (var index = 0; index < numbers.length; index++) {
            var version = PromptVersion.newBuilder()
                    .setPromptName(name)
                    .setVersionNumber(numbers[index])
                    .setTemplateSource(name + " " + numbers[index]);
            if (index == 0) {
                prompt.setActiveVersionNumber(numbers[index]);
                change.setActiveVersion(version);
            } else {
                change.addLabelledVersions(version);
            }
        }
        if (!label.isEmpty()) {
            prompt.addLabels(PromptLabel.newBuilder().setLabel(label).setVersionNumber(numbers[numbers.length - 1]));
        }
        return WatchPromptsResponse.newBuilder()
                .setRevision(revision)
                .setChange(change.setPrompt(prompt))
                .build();
    }

    public static WatchPromptsResponse more(WatchPromptsResponse part) {
        var builder = part.toBuilder();
        builder.getChangeBuilder().setMoreFollows(true);
        return builder.build();
    }

    public static WatchPromptsResponse promptsSynced(long revision) {
        return WatchPromptsResponse.newBuilder()
                .setRevision(revision)
                .setSynced(PromptsSynced.getDefaultInstance())
                .build();
    }

    public static WatchPromptsResponse promptsHeartbeat(long revision, boolean behind) {
        return WatchPromptsResponse.newBuilder()
                .setRevision(revision)
                .setHeartbeat(PromptsHeartbeat.newBuilder().setBehind(behind))
                .build();
    }
}
