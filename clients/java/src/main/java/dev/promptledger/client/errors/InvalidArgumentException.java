package dev.promptledger.client.errors;

/** The request is wrong, whatever the state of the ledger. */
public class InvalidArgumentException extends LedgerException {
    public InvalidArgumentException(ErrorDetails details) {
        super(details);
    }
}
