package dev.promptledger.client.internal.steps;

import dev.promptledger.client.Execution;
import dev.promptledger.client.StateChange;
import dev.promptledger.client.Update;
import dev.promptledger.v1.CodeRegistrationServiceGrpc;
import dev.promptledger.v1.ExecutionEvent;
import dev.promptledger.v1.ExecutionServiceGrpc;
import dev.promptledger.v1.ExecutionSpec;
import dev.promptledger.v1.StreamCodePromptRequest;
import dev.promptledger.v1.StreamCodePromptResponse;
import dev.promptledger.v1.StreamExecutionRequest;
import dev.promptledger.v1.StreamExecutionResponse;
import dev.promptledger.v1.WatchExecutionRequest;
import dev.promptledger.v1.WatchExecutionResponse;
import java.util.Queue;

/** Reads the streams of one execution: what is known of it, over several streams. */
public final class Follower implements StreamReader<ExecutionEvent, Update> {
    /** Empty until the first event of a stream that executes. */
    private String executionId;

    private long cursor;
    /** What the first stream executes; null where an execution is watched. */
    private final ExecutionSpec spec;
    /** Whether the spec's prompt is in code. */
    private final boolean tracking;

    private final FollowedText text = new FollowedText();
    private boolean joined;

    private Follower(String executionId, long cursor, ExecutionSpec spec, boolean tracking) {
        this.executionId = executionId;
        this.cursor = cursor;
        this.spec = spec;
        this.tracking = tracking;
    }

    /** Watches an execution, from after a sequence on. */
    public static Follower watching(String executionId, long afterSequence) {
        return new Follower(executionId, afterSequence, null, false);
    }

    /** Executes by its first stream. */
    public static Follower executing(ExecutionSpec spec, boolean tracking) {
        return new Follower("", 0, spec, tracking);
    }

    public String executionId() {
        return executionId;
    }

    @Override
    public StreamCall<?, ?, ExecutionEvent> ask() {
        if (!executionId.isEmpty()) {
            var watch = WatchExecutionRequest.newBuilder()
                    .setExecutionId(executionId)
                    .setAfterSequence(cursor)
                    .build();
            return new StreamCall<>(
                    ExecutionServiceGrpc.getWatchExecutionMethod(), watch, WatchExecutionResponse::getEvent);
        }
        if (tracking) {
            var code = StreamCodePromptRequest.newBuilder().setSpec(spec).build();
            return new StreamCall<>(
                    CodeRegistrationServiceGrpc.getStreamCodePromptMethod(), code, StreamCodePromptResponse::getEvent);
        }
        var stream = StreamExecutionRequest.newBuilder().setSpec(spec).build();
        return new StreamCall<>(
                ExecutionServiceGrpc.getStreamExecutionMethod(), stream, StreamExecutionResponse::getEvent);
    }

    @Override
    public boolean resumes() {
        return spec == null || !spec.getIdempotencyKey().isEmpty();
    }

    @Override
    public Taken take(ExecutionEvent event, Queue<Update> updates) {
        if (executionId.isEmpty()) {
            executionId = event.getExecutionId();
        }
        if (event.getSequence() > cursor + 1) {
            return Taken.GAP;
        }
        var isNew = event.getSequence() > cursor;
        cursor = Math.max(cursor, event.getSequence());
        var taken =
                switch (event.getKindCase()) {
                    case STATE_CHANGED -> change(event, isNew, updates);
                    case TEXT_DELTA -> text.take(event.getTextDelta(), updates);
                    case HEARTBEAT -> {
                        cursor = Math.max(cursor, event.getHeartbeat().getThroughSequence());
                        yield Taken.NEWS;
                    }
                    case SNAPSHOT -> {
                        if (event.getSnapshot().getReused() && !joined) {
                            joined = true;
                            updates.add(new Update.Joined(event.getExecutionId()));
                        }
                        yield Taken.NOTHING;
                    }
                    // An event of an unknown kind may have a sequence too.
                    default -> isNew ? Taken.NEWS : Taken.NOTHING;
                };
        return event.getTerminal() && taken != Taken.OVER ? Taken.UNREADABLE : taken;
    }

    private Taken change(ExecutionEvent event, boolean isNew, Queue<Update> updates) {
        var changed = event.getStateChanged();
        var ended = event.getTerminal() && changed.hasExecution();
        if (ended) {
            text.finish(changed.getAttempt(), changed.getExecution().getResponseTextBytes(), updates);
        }
        if (isNew) {
            updates.add(StateChange.of(event));
        }
        if (ended) {
            updates.add(new Update.Ended(new Execution(changed.getExecution(), joined)));
            return Taken.OVER;
        }
        return isNew ? Taken.NEWS : Taken.NOTHING;
    }
}
