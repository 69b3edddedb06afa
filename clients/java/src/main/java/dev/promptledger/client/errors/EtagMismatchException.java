package dev.promptledger.client.errors;

/** The prompt was written after its etag was read. */
public class EtagMismatchException extends AbortedException {
    public EtagMismatchException(ErrorDetails details) {
        super(details);
    }
}
