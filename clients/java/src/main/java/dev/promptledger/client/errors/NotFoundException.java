package dev.promptledger.client.errors;

/** Something that the request names does not exist. */
public class NotFoundException extends LedgerException {
    public NotFoundException(ErrorDetails details) {
        super(details);
    }
}
