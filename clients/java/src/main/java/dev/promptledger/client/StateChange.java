package dev.promptledger.client;

import dev.promptledger.client.internal.Protos;
import dev.promptledger.v1.ExecutionEvent;
import java.time.Instant;
import java.util.Optional;

/**
 * An execution changed its status.
 *
 * @param executionId of the execution
 * @param sequence numbers the execution's changes from 1, without gaps
 * @param at when it was
 * @param from empty for the first change
 * @param to the status now
 * @param attempt the attempt that the change belongs to; 0 before the first
 * @param errorType why the attempt failed, such as {@code rate_limited}; empty where nothing failed
 * @param nextAttemptAt when the next attempt begins; empty where none is planned
 * @param promptName in tails only; else empty
 */
public record StateChange(
        String executionId,
        long sequence,
        Instant at,
        Optional<ExecutionStatus> from,
        ExecutionStatus to,
        int attempt,
        String errorType,
        Optional<Instant> nextAttemptAt,
        String promptName)
        implements Update {
    /** The change that an event of the contract tells. */
    public static StateChange of(ExecutionEvent event) {
        var changed = event.getStateChanged();
        return new StateChange(
                event.getExecutionId(),
                event.getSequence(),
                Protos.instant(event.getAt()),
                changed.getFromValue() == 0
                        ? Optional.empty()
                        : Optional.of(ExecutionStatus.of(changed.getFromValue())),
                ExecutionStatus.of(changed.getToValue()),
                changed.getAttempt(),
                changed.getErrorType(),
                changed.hasNextAttemptAt() ? Optional.of(Protos.instant(changed.getNextAttemptAt())) : Optional.empty(),
                changed.getPromptName());
    }
}
