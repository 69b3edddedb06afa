package dev.promptledger.client.internal.steps;

import com.google.protobuf.Timestamp;
import dev.promptledger.client.Execution;
import dev.promptledger.client.StateChange;
import dev.promptledger.client.TailUpdate;
import dev.promptledger.v1.ExecutionEvent;
import dev.promptledger.v1.ExecutionServiceGrpc;
import dev.promptledger.v1.WatchExecutionsRequest;
import dev.promptledger.v1.WatchExecutionsResponse;
import java.util.Comparator;
import java.util.Optional;
import java.util.Queue;

/** Reads the streams of all executions that match: what is known of them, over several streams. */
public final class Tailer implements StreamReader<ExecutionEvent, TailUpdate> {
    private static final int REMEMBERED = 10_000;
    private static final Comparator<Timestamp> BY_TIME =
            Comparator.comparingLong(Timestamp::getSeconds).thenComparingInt(Timestamp::getNanos);

    /** The filter, with the time to resume from. */
    private WatchExecutionsRequest request;

    private final SeenExecutions seen = new SeenExecutions(REMEMBERED);
    /** The server's time at the present stream's first message; null before it. */
    private Timestamp began;

    private boolean synced;
    private boolean toldSynced;

    public Tailer(WatchExecutionsRequest request) {
        this.request = request;
    }

    @Override
    public StreamCall<?, ?, ExecutionEvent> ask() {
        return new StreamCall<>(
                ExecutionServiceGrpc.getWatchExecutionsMethod(), request, WatchExecutionsResponse::getEvent);
    }

    @Override
    public void begins() {
        began = null;
        synced = false;
    }

    @Override
    public Taken take(ExecutionEvent event, Queue<TailUpdate> updates) {
        if (began == null) {
            began = event.getAt();
        }
        return switch (event.getKindCase()) {
            case SNAPSHOT -> snapshot(event, updates);
            case STATE_CHANGED -> change(event, updates);
            case SYNCED -> synced(updates);
            // It says nothing of what was sent before.
            case HEARTBEAT -> Taken.NEWS;
            default -> Taken.NOTHING;
        };
    }

    private Taken snapshot(ExecutionEvent event, Queue<TailUpdate> updates) {
        var snapshot = event.getSnapshot();
        var isNew = seen.through(event.getExecutionId(), snapshot.getThroughSequence());
        if (!isNew || !snapshot.hasExecution()) {
            return Taken.NOTHING;
        }
        var execution = new Execution(snapshot.getExecution(), false);
        updates.add(new TailUpdate.Found(snapshot.getThroughSequence(), execution));
        return Taken.NEWS;
    }

    private Taken change(ExecutionEvent event, Queue<TailUpdate> updates) {
        var isNew = seen.one(event.getExecutionId(), event.getSequence());
        toldUntil(event.getAt());
        if (!isNew) {
            return Taken.NOTHING;
        }
        var changed = event.getStateChanged();
        var execution = changed.hasExecution()
                ? Optional.of(new Execution(changed.getExecution(), false))
                : Optional.<Execution>empty();
        updates.add(new TailUpdate.Changed(StateChange.of(event), execution));
        return Taken.NEWS;
    }

    private Taken synced(Queue<TailUpdate> updates) {
        synced = true;
        // Changes during the first part of the stream may still follow.
        toldUntil(began);
        if (toldSynced) {
            return Taken.NOTHING;
        }
        toldSynced = true;
        updates.add(new TailUpdate.Synced());
        return Taken.NEWS;
    }

    /** Moves {@code since}, never backwards. A stream that has not synced has not told all, and moves nothing. */
    private void toldUntil(Timestamp at) {
        if (synced && (!request.hasSince() || BY_TIME.compare(request.getSince(), at) < 0)) {
            request = request.toBuilder().setSince(at).build();
        }
    }
}
