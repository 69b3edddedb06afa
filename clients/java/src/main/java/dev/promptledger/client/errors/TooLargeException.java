package dev.promptledger.client.errors;

/** Something is larger than its limit; a repeat is refused alike. */
public class TooLargeException extends ResourceExhaustedException {
    public TooLargeException(ErrorDetails details) {
        super(details);
    }
}
