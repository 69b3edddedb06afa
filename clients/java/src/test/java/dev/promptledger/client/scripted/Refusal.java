package dev.promptledger.client.scripted;

import com.google.protobuf.Any;
import com.google.rpc.BadRequest;
import com.google.rpc.BadRequest.FieldViolation;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.protobuf.ProtoUtils;
import java.time.Duration;
import java.util.Map;

/**
 * An error that a server answers. Without a reason it has no details, as when a proxy answers.
 *
 * @param code of gRPC
 * @param reason of {@code ErrorInfo}
 * @param retry of {@code RetryInfo}; null where there is none
 * @param metadata of {@code ErrorInfo}
 * @param fields of {@code BadRequest}
 */
public record Refusal(
        Status.Code code, String reason, Duration retry, Map<String, String> metadata, Map<String, String> fields) {
    private static final Metadata.Key<com.google.rpc.Status> DETAILS = Metadata.Key.of(
            "grpc-status-details-bin", ProtoUtils.metadataMarshaller(com.google.rpc.Status.getDefaultInstance()));

    public static Refusal of(Status.Code code) {
        return of(code, "");
    }

    public static Refusal of(Status.Code code, String reason) {
        return new Refusal(code, reason, null, Map.of(), Map.of());
    }

    public Refusal retryAfter(Duration delay) {
        return new Refusal(code, reason, delay, metadata, fields);
    }

    public Refusal metadata(Map<String, String> values) {
        return new Refusal(code, reason, retry, values, fields);
    }

    public Refusal fields(Map<String, String> values) {
        return new Refusal(code, reason, retry, metadata, values);
    }

    public Status status() {
        return Status.fromCode(code).withDescription("said so");
    }

    public Metadata trailers() {
        var trailers = new Metadata();
        if (reason.isEmpty()) {
            return trailers;
        }
        var status = com.google.rpc.Status.newBuilder().setCode(code.value());
        status.addDetails(Any.pack(ErrorInfo.newBuilder()
                .setReason(reason)
                .setDomain("promptledger.dev")
                .putAllMetadata(metadata)
                .build()));
        if (retry != null) {
            var delay = com.google.protobuf.Duration.newBuilder()
                    .setSeconds(retry.getSeconds())
                    .setNanos(retry.getNano());
            status.addDetails(
                    Any.pack(RetryInfo.newBuilder().setRetryDelay(delay).build()));
        }
        var request = BadRequest.newBuilder();
        fields.forEach((field, problem) -> request.addFieldViolations(
                FieldViolation.newBuilder().setField(field).setDescription(problem)));
        if (!fields.isEmpty()) {
            status.addDetails(Any.pack(request.build()));
        }
        trailers.put(DETAILS, status.build());
        return trailers;
    }
}
