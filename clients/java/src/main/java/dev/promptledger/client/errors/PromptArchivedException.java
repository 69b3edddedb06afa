package dev.promptledger.client.errors;

/** The prompt is archived: it can be read, but neither written nor executed. */
public class PromptArchivedException extends FailedPreconditionException {
    public PromptArchivedException(ErrorDetails details) {
        super(details);
    }
}
