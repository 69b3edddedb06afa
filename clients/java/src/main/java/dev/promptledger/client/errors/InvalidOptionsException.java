package dev.promptledger.client.errors;

import io.grpc.Status;

/** The options of the client cannot be used. */
public class InvalidOptionsException extends ClientException {
    public InvalidOptionsException(String message) {
        super(Status.Code.INVALID_ARGUMENT, message);
    }
}
