package dev.promptledger.client.errors;

/** The call met another one. */
public class AbortedException extends LedgerException {
    public AbortedException(ErrorDetails details) {
        super(details);
    }
}
