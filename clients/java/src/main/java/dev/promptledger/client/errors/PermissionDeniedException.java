package dev.promptledger.client.errors;

/** The key does not open this. */
public class PermissionDeniedException extends LedgerException {
    public PermissionDeniedException(ErrorDetails details) {
        super(details);
    }
}
