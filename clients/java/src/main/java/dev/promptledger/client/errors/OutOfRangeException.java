package dev.promptledger.client.errors;

/** A cursor is beyond what there is. */
public class OutOfRangeException extends LedgerException {
    public OutOfRangeException(ErrorDetails details) {
        super(details);
    }
}
