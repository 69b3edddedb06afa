package dev.promptledger.client.errors;

/** The call needs a system key. */
public class ScopeMissingException extends PermissionDeniedException {
    public ScopeMissingException(ErrorDetails details) {
        super(details);
    }
}
