package dev.promptledger.client.errors;

/** The request has no API key. */
public class KeyMissingException extends UnauthenticatedException {
    public KeyMissingException(ErrorDetails details) {
        super(details);
    }
}
