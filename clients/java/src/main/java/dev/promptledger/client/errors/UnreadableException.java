package dev.promptledger.client.errors;

import io.grpc.Status;

/** The execution ended in a way that this client does not know; a newer client is needed. */
public class UnreadableException extends ClientException {
    public UnreadableException(String message) {
        super(Status.Code.UNIMPLEMENTED, message);
    }
}
