package dev.promptledger.client;

import java.util.Optional;

/** What a tail of executions tells. */
public sealed interface TailUpdate {
    /**
     * An execution that was there when the tail began, or that changed while it was interrupted.
     *
     * @param sequence that of its last change
     * @param execution as it is; without its texts, unless they were asked for
     */
    record Found(long sequence, Execution execution) implements TailUpdate {}

    /** Every execution that was there when the tail began has been told. Told once. */
    record Synced() implements TailUpdate {}

    /**
     * An execution changed its status.
     *
     * @param change the change
     * @param execution where that was its end
     */
    record Changed(StateChange change, Optional<Execution> execution) implements TailUpdate {}
}
