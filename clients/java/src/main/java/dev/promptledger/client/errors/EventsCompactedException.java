package dev.promptledger.client.errors;

/** What the cursor points at is no longer stored. */
public class EventsCompactedException extends OutOfRangeException {
    public EventsCompactedException(ErrorDetails details) {
        super(details);
    }
}
