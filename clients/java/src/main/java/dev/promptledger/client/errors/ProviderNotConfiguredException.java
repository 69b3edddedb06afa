package dev.promptledger.client.errors;

/** The provider has neither a key nor a base URL of its own. */
public class ProviderNotConfiguredException extends FailedPreconditionException {
    public ProviderNotConfiguredException(ErrorDetails details) {
        super(details);
    }
}
