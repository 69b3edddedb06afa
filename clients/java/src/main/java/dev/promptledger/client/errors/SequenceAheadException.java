package dev.promptledger.client.errors;

/** The cursor is beyond the execution's last event. */
public class SequenceAheadException extends OutOfRangeException {
    public SequenceAheadException(ErrorDetails details) {
        super(details);
    }
}
