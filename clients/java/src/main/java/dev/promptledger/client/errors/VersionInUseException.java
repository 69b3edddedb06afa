package dev.promptledger.client.errors;

/** The version is active or labelled, and cannot be deprecated. */
public class VersionInUseException extends FailedPreconditionException {
    public VersionInUseException(ErrorDetails details) {
        super(details);
    }
}
