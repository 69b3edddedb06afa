package dev.promptledger.client.errors;

/** The server shuts down, or the stream has reached its maximum age. */
public class DrainingException extends UnavailableException {
    public DrainingException(ErrorDetails details) {
        super(details);
    }
}
