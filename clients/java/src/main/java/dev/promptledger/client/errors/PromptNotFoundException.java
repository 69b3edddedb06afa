package dev.promptledger.client.errors;

/** No prompt of that name exists in the project. */
public class PromptNotFoundException extends NotFoundException {
    public PromptNotFoundException(ErrorDetails details) {
        super(details);
    }
}
