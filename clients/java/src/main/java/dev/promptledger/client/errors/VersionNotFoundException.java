package dev.promptledger.client.errors;

/** The prompt has no version of that number or content. */
public class VersionNotFoundException extends NotFoundException {
    public VersionNotFoundException(ErrorDetails details) {
        super(details);
    }
}
