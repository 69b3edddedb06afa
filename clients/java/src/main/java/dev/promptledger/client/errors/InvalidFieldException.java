package dev.promptledger.client.errors;

/** A field's value breaks its rule; {@link #fields()} says which and how. */
public class InvalidFieldException extends InvalidArgumentException {
    public InvalidFieldException(ErrorDetails details) {
        super(details);
    }
}
