package dev.promptledger.client.errors;

/** The project has no execution of that id. */
public class ExecutionNotFoundException extends NotFoundException {
    public ExecutionNotFoundException(ErrorDetails details) {
        super(details);
    }
}
