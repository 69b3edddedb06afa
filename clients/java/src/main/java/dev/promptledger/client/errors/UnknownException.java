package dev.promptledger.client.errors;

/** The connection broke, or something between answered. */
public class UnknownException extends LedgerException {
    public UnknownException(ErrorDetails details) {
        super(details);
    }
}
