package dev.promptledger.client.errors;

import io.grpc.Status;

/** The base of the errors that no server sent. */
public abstract class ClientException extends LedgerException {
    protected ClientException(Status.Code code, String message) {
        super(ErrorDetails.of(code, message));
    }
}
