package dev.promptledger.client.errors;

/** The API key is malformed, unknown, revoked or not accepted on this server. */
public class KeyInvalidException extends UnauthenticatedException {
    public KeyInvalidException(ErrorDetails details) {
        super(details);
    }
}
