package dev.promptledger.client.errors;

/** The server has no such method, or does not read the request's encoding. */
public class UnimplementedException extends LedgerException {
    public UnimplementedException(ErrorDetails details) {
        super(details);
    }
}
