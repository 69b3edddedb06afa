package dev.promptledger.client.errors;

/** The execution has succeeded or failed and cannot be canceled. */
public class ExecutionFinishedException extends FailedPreconditionException {
    public ExecutionFinishedException(ErrorDetails details) {
        super(details);
    }
}
