package dev.promptledger.client.errors;

/** Another request has used that idempotency key. */
public class IdempotencyKeyReusedException extends AlreadyExistsException {
    public IdempotencyKeyReusedException(ErrorDetails details) {
        super(details);
    }

    /** The execution that has the key. */
    public String executionId() {
        return metadata().getOrDefault("execution_id", "");
    }
}
