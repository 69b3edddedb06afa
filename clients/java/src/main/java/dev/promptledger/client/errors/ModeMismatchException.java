package dev.promptledger.client.errors;

/**
 * The prompt is in another mode than the call is for; {@link #metadata()} has its {@code mode} and the RPC to use ({@code
 * use_rpc}).
 */
public class ModeMismatchException extends FailedPreconditionException {
    public ModeMismatchException(ErrorDetails details) {
        super(details);
    }
}
