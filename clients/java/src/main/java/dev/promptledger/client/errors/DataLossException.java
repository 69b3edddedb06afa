package dev.promptledger.client.errors;

/** Not raised by servers. */
public class DataLossException extends LedgerException {
    public DataLossException(ErrorDetails details) {
        super(details);
    }
}
