package dev.promptledger.client.errors;

/** The revision is beyond the project's. */
public class RevisionAheadException extends OutOfRangeException {
    public RevisionAheadException(ErrorDetails details) {
        super(details);
    }
}
