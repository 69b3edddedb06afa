package dev.promptledger.client.errors;

/** The model is not registered; the message gives the call that registers it. */
public class ModelNotFoundException extends NotFoundException {
    public ModelNotFoundException(ErrorDetails details) {
        super(details);
    }
}
