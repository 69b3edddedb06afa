package dev.promptledger.client.errors;

/** The prompt has no active version, and the request named none. */
public class NoActiveVersionException extends FailedPreconditionException {
    public NoActiveVersionException(ErrorDetails details) {
        super(details);
    }
}
