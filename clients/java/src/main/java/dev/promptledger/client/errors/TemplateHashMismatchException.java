package dev.promptledger.client.errors;

/** The hash sent with a content is not its hash; {@link #metadata()} has the {@code computed_hash}. */
public class TemplateHashMismatchException extends InvalidArgumentException {
    public TemplateHashMismatchException(ErrorDetails details) {
        super(details);
    }
}
