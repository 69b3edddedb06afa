package dev.promptledger.client.errors;

/** A queue or budget of the server is full; see {@link #retryAfter()}. */
public class OverloadedException extends ResourceExhaustedException {
    public OverloadedException(ErrorDetails details) {
        super(details);
    }

    /** The execution that was recorded all the same: read it instead. Empty where none was. */
    public String executionId() {
        return metadata().getOrDefault("execution_id", "");
    }
}
