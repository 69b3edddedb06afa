package dev.promptledger.client.internal.steps;

import dev.promptledger.client.internal.steps.Failure.Refused;
import dev.promptledger.v1.PromptChange;
import dev.promptledger.v1.RegistryServiceGrpc;
import dev.promptledger.v1.WatchPromptsRequest;
import dev.promptledger.v1.WatchPromptsResponse;
import io.grpc.Status;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.Queue;
import java.util.Set;
import java.util.function.Function;

/** Reads the streams of prompts: what is known of the place, over several streams. */
public final class PromptReader implements StreamReader<WatchPromptsResponse, PromptUpdate> {
    /** Too much is asked at once, a server failed, or is of a release that does not know the call: that passes. */
    private static final Set<Status.Code> PASSING = EnumSet.of(
            Status.Code.RESOURCE_EXHAUSTED,
            Status.Code.INTERNAL,
            Status.Code.DEADLINE_EXCEEDED,
            Status.Code.UNIMPLEMENTED,
            Status.Code.UNKNOWN,
            Status.Code.ABORTED,
            Status.Code.CANCELLED);

    private static final Set<String> LOST = Set.of("REVISION_AHEAD", "EVENTS_COMPACTED");

    /** With the cursor to resume from. */
    private WatchPromptsRequest request;
    /** The prompts that the present stream has told; null where it did not begin at 0, or has told all that was there. */
    private Set<String> seen;
    /** The parts of a state that is not told whole yet; null where there are none. */
    private PromptChange parts;

    public PromptReader(Iterable<String> names, String namePrefix) {
        this.request = WatchPromptsRequest.newBuilder()
                .addAllNames(names)
                .setNamePrefix(namePrefix)
                .build();
    }

    @Override
    public StreamCall<?, ?, WatchPromptsResponse> ask() {
        return new StreamCall<>(RegistryServiceGrpc.getWatchPromptsMethod(), request, Function.identity());
    }

    @Override
    public void begins() {
        parts = null;
        seen = request.getAfterRevision() == 0 ? new HashSet<>() : null;
    }

    @Override
    public Taken take(WatchPromptsResponse message, Queue<PromptUpdate> updates) {
        var isCurrent = false;
        switch (message.getKindCase()) {
            case CHANGE -> change(message.getChange(), updates);
            case SYNCED -> {
                if (seen != null) {
                    updates.add(new PromptUpdate.Only(seen));
                    seen = null;
                }
                isCurrent = true;
            }
            case HEARTBEAT -> {
                if (message.getHeartbeat().getBehind()) {
                    updates.add(new PromptUpdate.Behind());
                } else {
                    isCurrent = seen == null && parts == null;
                }
            }
            default -> {}
        }
        // Also of a kind that is not known.
        var isFurther = message.getRevision() > request.getAfterRevision();
        if (isFurther) {
            moveTo(message.getRevision(), updates);
        }
        if (isCurrent) {
            updates.add(new PromptUpdate.Current());
        }
        // A stream that breaks each time before it has come further gets nowhere, however much it tells.
        return isFurther || isCurrent ? Taken.NEWS : Taken.NOTHING;
    }

    @Override
    public boolean broke(Failure failure, Queue<PromptUpdate> updates) {
        updates.add(new PromptUpdate.Behind());
        if (!(failure instanceof Refused refused)) {
            return false;
        }
        if (LOST.contains(refused.error().reason()) && request.getAfterRevision() > 0) {
            // Nothing can be resumed: everything is told again, and what is not told is gone.
            moveTo(0, updates);
            return true;
        }
        return PASSING.contains(refused.error().code());
    }

    private void moveTo(long revision, Queue<PromptUpdate> updates) {
        request = request.toBuilder().setAfterRevision(revision).build();
        updates.add(new PromptUpdate.Reached(revision));
    }

    private void change(PromptChange change, Queue<PromptUpdate> updates) {
        var whole = change;
        if (parts != null
                && parts.getPrompt().getPromptId().equals(change.getPrompt().getPromptId())) {
            whole = parts.toBuilder()
                    .addAllLabelledVersions(change.getLabelledVersionsList())
                    .setMoreFollows(change.getMoreFollows())
                    .build();
        }
        parts = whole.getMoreFollows() ? whole : null;
        if (parts == null && whole.hasPrompt()) {
            if (seen != null) {
                seen.add(whole.getPrompt().getName());
            }
            updates.add(new PromptUpdate.Put(whole));
        }
    }
}
