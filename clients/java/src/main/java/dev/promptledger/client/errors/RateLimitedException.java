package dev.promptledger.client.errors;

/** The key calls too often. */
public class RateLimitedException extends ResourceExhaustedException {
    public RateLimitedException(ErrorDetails details) {
        super(details);
    }
}
