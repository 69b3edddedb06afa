package dev.promptledger.client.errors;

/** The page token comes from another list. */
public class PageTokenInvalidException extends InvalidArgumentException {
    public PageTokenInvalidException(ErrorDetails details) {
        super(details);
    }
}
