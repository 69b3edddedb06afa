package dev.promptledger.client.errors;

/** The prompt has no such label. */
public class LabelNotFoundException extends NotFoundException {
    public LabelNotFoundException(ErrorDetails details) {
        super(details);
    }
}
