package dev.promptledger.client.errors;

/** The key or the server has its maximum of watches. */
public class TooManyWatchersException extends ResourceExhaustedException {
    public TooManyWatchersException(ErrorDetails details) {
        super(details);
    }
}
