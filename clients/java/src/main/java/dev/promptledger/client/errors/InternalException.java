package dev.promptledger.client.errors;

/** A failure of the server, or a broken connection. {@code metadata["error_id"]} finds the cause in the server's log. */
public class InternalException extends LedgerException {
    public InternalException(ErrorDetails details) {
        super(details);
    }
}
