package dev.promptledger.client.errors;

/** The call was ended by its caller, or its connection broke. */
public class CancelledException extends LedgerException {
    public CancelledException(ErrorDetails details) {
        super(details);
    }
}
