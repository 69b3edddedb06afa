package dev.promptledger.client.errors;

import io.grpc.Status;

/** The prompt cache has not been filled yet. */
public class NotSyncedException extends ClientException {
    public NotSyncedException(String message) {
        super(Status.Code.UNAVAILABLE, message);
    }
}
