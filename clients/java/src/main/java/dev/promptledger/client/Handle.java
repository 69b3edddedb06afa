package dev.promptledger.client;

import dev.promptledger.client.internal.Call;
import dev.promptledger.client.internal.Transport;
import dev.promptledger.client.internal.steps.Follower;
import dev.promptledger.v1.CancelExecutionRequest;
import dev.promptledger.v1.ExecutionServiceGrpc;
import dev.promptledger.v1.GetExecutionRequest;
import java.time.Duration;

/** An execution that is under way, or was. */
public final class Handle {
    private final Transport transport;
    private final String id;
    private final ExecutionStatus status;
    private final boolean reused;

    Handle(Transport transport, String id, ExecutionStatus status, boolean reused) {
        this.transport = transport;
        this.id = id;
        this.status = status;
        this.reused = reused;
    }

    public String id() {
        return id;
    }

    /** As {@code submit} was answered; {@link ExecutionStatus#UNKNOWN} for one that is known by its id. */
    public ExecutionStatus status() {
        return status;
    }

    /** Whether the idempotency key found it. */
    public boolean reused() {
        return reused;
    }

    /** What happens to it, from its beginning on. */
    public Updates watch() {
        return watch(0);
    }

    /** What happens to it, from after that state change on. */
    public Updates watch(long afterSequence) {
        return new Updates(transport, Follower.watching(id, afterSequence));
    }

    /** Waits for its end, by watching it. */
    public Execution result() {
        try (var updates = watch()) {
            return updates.result();
        }
    }

    /**
     * Waits for its end, by watching it.
     *
     * @throws dev.promptledger.client.errors.DeadlineExceededException where it did not end in time
     */
    public Execution result(Duration timeout) {
        try (var updates = watch()) {
            return updates.result(timeout);
        }
    }

    /** It as it is now. */
    public Execution get() {
        var request = GetExecutionRequest.newBuilder().setExecutionId(id).build();
        return transport.call(new Call<>(
                ExecutionServiceGrpc.getGetExecutionMethod(), request, answer -> new Execution(answer.getExecution())));
    }

    /** Asks to cancel it; it may have to be watched to learn how it ends. */
    public Execution cancel() {
        return cancel("");
    }

    /** Asks to cancel it; it may have to be watched to learn how it ends. */
    public Execution cancel(String reason) {
        var request = CancelExecutionRequest.newBuilder()
                .setExecutionId(id)
                .setReason(reason)
                .build();
        return transport.call(new Call<>(
                ExecutionServiceGrpc.getCancelExecutionMethod(),
                request,
                answer -> new Execution(answer.getExecution())));
    }

    @Override
    public String toString() {
        return "Handle[" + id + "]";
    }
}
