package dev.promptledger.client.errors;

/** Too much, too many or too large. */
public class ResourceExhaustedException extends LedgerException {
    public ResourceExhaustedException(ErrorDetails details) {
        super(details);
    }
}
