package dev.promptledger.client.errors;

/** The template does not parse; {@link #metadata()} has {@code line} and {@code column}. */
public class TemplateInvalidException extends InvalidArgumentException {
    public TemplateInvalidException(ErrorDetails details) {
        super(details);
    }
}
