package dev.promptledger.client.errors;

/** The server knows no provider of that name. */
public class ProviderNotFoundException extends NotFoundException {
    public ProviderNotFoundException(ErrorDetails details) {
        super(details);
    }
}
