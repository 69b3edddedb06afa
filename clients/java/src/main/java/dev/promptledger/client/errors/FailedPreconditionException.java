package dev.promptledger.client.errors;

/** The ledger is not in the state that the request needs. */
public class FailedPreconditionException extends LedgerException {
    public FailedPreconditionException(ErrorDetails details) {
        super(details);
    }
}
