package dev.promptledger.client.errors;

import io.grpc.Status;

/** The client was closed. */
public class ClientClosedException extends ClientException {
    public ClientClosedException(String message) {
        super(Status.Code.CANCELLED, message);
    }
}
