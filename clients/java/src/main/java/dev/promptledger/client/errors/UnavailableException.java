package dev.promptledger.client.errors;

/** There is no connection, it broke, or the server cannot answer now. */
public class UnavailableException extends LedgerException {
    public UnavailableException(ErrorDetails details) {
        super(details);
    }
}
