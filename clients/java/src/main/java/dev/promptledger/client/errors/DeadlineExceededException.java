package dev.promptledger.client.errors;

/** The deadline passed. What an execution with an idempotency key came to, a repeat finds. */
public class DeadlineExceededException extends LedgerException {
    public DeadlineExceededException(ErrorDetails details) {
        super(details);
    }
}
