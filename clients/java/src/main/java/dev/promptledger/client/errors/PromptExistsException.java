package dev.promptledger.client.errors;

/** The prompt exists, and the request has {@code createOnly}. */
public class PromptExistsException extends AlreadyExistsException {
    public PromptExistsException(ErrorDetails details) {
        super(details);
    }
}
