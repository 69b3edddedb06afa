package dev.promptledger.client.errors;

/** An opaque template is never rendered: execute it by {@code messages}. */
public class TemplateOpaqueException extends FailedPreconditionException {
    public TemplateOpaqueException(ErrorDetails details) {
        super(details);
    }
}
