package dev.promptledger.client.errors;

import io.grpc.Status;

/** A stream broke. Its spec has no idempotency key, so the execution, if it began, is canceled. */
public class NotResumableException extends ClientException {
    public NotResumableException(String message) {
        super(Status.Code.UNAVAILABLE, message);
    }
}
