package dev.promptledger.client.errors;

/** The key is missing or wrong. */
public class UnauthenticatedException extends LedgerException {
    public UnauthenticatedException(ErrorDetails details) {
        super(details);
    }
}
