package dev.promptledger.client.errors;

/** Something that the request would make exists. */
public class AlreadyExistsException extends LedgerException {
    public AlreadyExistsException(ErrorDetails details) {
        super(details);
    }
}
