package dev.promptledger.client.errors;

/** The database did not answer in time. */
public class StoreUnavailableException extends UnavailableException {
    public StoreUnavailableException(ErrorDetails details) {
        super(details);
    }
}
