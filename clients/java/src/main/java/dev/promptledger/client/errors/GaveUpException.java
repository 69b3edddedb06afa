package dev.promptledger.client.errors;

import io.grpc.Status;

/** A watch broke, and nothing came of trying for {@code patience}. */
public class GaveUpException extends ClientException {
    public GaveUpException(String message) {
        super(Status.Code.UNAVAILABLE, message);
    }
}
