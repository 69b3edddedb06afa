package dev.promptledger.client.errors;

import io.grpc.Status;
import java.io.Serializable;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;

/**
 * What a call failed with.
 *
 * @param code the gRPC status code
 * @param message for people
 * @param reason why, as in the contract's {@code ErrorReason} without its prefix; empty where no server gave one
 * @param fields what is wrong with which field of the request
 * @param metadata what else the server tells, such as {@code prompt} or {@code execution_id}
 * @param retryDelay the delay after which the server asks to be called again; null where it does not
 * @param sent whether the request was sent: if not, no connection came about
 * @param cause what gRPC has thrown; null where there is nothing
 */
public record ErrorDetails(
        Status.Code code,
        String message,
        String reason,
        Map<String, String> fields,
        Map<String, String> metadata,
        Duration retryDelay,
        boolean sent,
        Throwable cause)
        implements Serializable {
    public ErrorDetails {
        fields = Map.copyOf(fields);
        metadata = Map.copyOf(metadata);
    }

    /** Of a code and a message alone. */
    public static ErrorDetails of(Status.Code code, String message) {
        return new ErrorDetails(code, message, "", Map.of(), Map.of(), null, true, null);
    }

    /** Of a field that cannot be sent: what a server would say of it. */
    public static ErrorDetails ofField(String field, String problem) {
        var fields = Map.of(field, problem);
        return new ErrorDetails(
                Status.Code.INVALID_ARGUMENT,
                field + ": " + problem,
                "INVALID_FIELD",
                fields,
                Map.of(),
                null,
                true,
                null);
    }

    Optional<Duration> retryAfter() {
        return Optional.ofNullable(retryDelay);
    }
}
