package dev.promptledger.client.internal;

import static java.util.Map.entry;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import dev.promptledger.client.errors.*;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.protobuf.ProtoUtils;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;

/** Errors from what calls end with: gRPC's status, and the details that the server has packed into it. */
public final class Errors {
    private static final Metadata.Key<com.google.rpc.Status> DETAILS = Metadata.Key.of(
            "grpc-status-details-bin", ProtoUtils.metadataMarshaller(com.google.rpc.Status.getDefaultInstance()));

    private static final Map<String, Function<ErrorDetails, LedgerException>> BY_REASON = Map.ofEntries(
            entry("PROMPT_NOT_FOUND", PromptNotFoundException::new),
            entry("VERSION_NOT_FOUND", VersionNotFoundException::new),
            entry("LABEL_NOT_FOUND", LabelNotFoundException::new),
            entry("PROVIDER_NOT_FOUND", ProviderNotFoundException::new),
            entry("MODEL_NOT_FOUND", ModelNotFoundException::new),
            entry("EXECUTION_NOT_FOUND", ExecutionNotFoundException::new),
            entry("PROJECT_NOT_FOUND", ProjectNotFoundException::new),
            entry("INVALID_FIELD", InvalidFieldException::new),
            entry("TEMPLATE_INVALID", TemplateInvalidException::new),
            entry("VARIABLES_MISSING", VariablesMissingException::new),
            entry("TEMPLATE_HASH_MISMATCH", TemplateHashMismatchException::new),
            entry("PAGE_TOKEN_INVALID", PageTokenInvalidException::new),
            entry("MODE_MISMATCH", ModeMismatchException::new),
            entry("NO_ACTIVE_VERSION", NoActiveVersionException::new),
            entry("VERSION_IN_USE", VersionInUseException::new),
            entry("PROMPT_ARCHIVED", PromptArchivedException::new),
            entry("TEMPLATE_OPAQUE", TemplateOpaqueException::new),
            entry("PROVIDER_NOT_CONFIGURED", ProviderNotConfiguredException::new),
            entry("EXECUTION_FINISHED", ExecutionFinishedException::new),
            entry("ETAG_MISMATCH", EtagMismatchException::new),
            entry("PROMPT_EXISTS", PromptExistsException::new),
            entry("IDEMPOTENCY_KEY_REUSED", IdempotencyKeyReusedException::new),
            entry("KEY_MISSING", KeyMissingException::new),
            entry("KEY_INVALID", KeyInvalidException::new),
            entry("SCOPE_MISSING", ScopeMissingException::new),
            entry("TOO_LARGE", TooLargeException::new),
            entry("OVERLOADED", OverloadedException::new),
            entry("TOO_MANY_WATCHERS", TooManyWatchersException::new),
            entry("RATE_LIMITED", RateLimitedException::new),
            entry("EVENTS_COMPACTED", EventsCompactedException::new),
            entry("SEQUENCE_AHEAD", SequenceAheadException::new),
            entry("REVISION_AHEAD", RevisionAheadException::new),
            entry("SLOW_CONSUMER", SlowConsumerException::new),
            entry("DRAINING", DrainingException::new),
            entry("STORE_UNAVAILABLE", StoreUnavailableException::new));

    private static final Map<Status.Code, Function<ErrorDetails, LedgerException>> BY_CODE = Map.ofEntries(
            entry(Status.Code.CANCELLED, CancelledException::new),
            entry(Status.Code.UNKNOWN, UnknownException::new),
            entry(Status.Code.INVALID_ARGUMENT, InvalidArgumentException::new),
            entry(Status.Code.DEADLINE_EXCEEDED, DeadlineExceededException::new),
            entry(Status.Code.NOT_FOUND, NotFoundException::new),
            entry(Status.Code.ALREADY_EXISTS, AlreadyExistsException::new),
            entry(Status.Code.PERMISSION_DENIED, PermissionDeniedException::new),
            entry(Status.Code.RESOURCE_EXHAUSTED, ResourceExhaustedException::new),
            entry(Status.Code.FAILED_PRECONDITION, FailedPreconditionException::new),
            entry(Status.Code.ABORTED, AbortedException::new),
            entry(Status.Code.OUT_OF_RANGE, OutOfRangeException::new),
            entry(Status.Code.UNIMPLEMENTED, UnimplementedException::new),
            entry(Status.Code.INTERNAL, InternalException::new),
            entry(Status.Code.UNAVAILABLE, UnavailableException::new),
            entry(Status.Code.DATA_LOSS, DataLossException::new),
            entry(Status.Code.UNAUTHENTICATED, UnauthenticatedException::new));

    private Errors() {}

    /** The error of these details: of the class of its reason, or else of its code. */
    public static LedgerException of(ErrorDetails details) {
        var byCode = BY_CODE.getOrDefault(details.code(), UnknownException::new);
        return BY_REASON.getOrDefault(details.reason(), byCode).apply(details);
    }

    /** The error for a field that cannot be sent to a server. */
    public static LedgerException invalidField(String field, String problem) {
        return new InvalidFieldException(ErrorDetails.ofField(field, problem));
    }

    /** The error where something failed that is no call of a server. */
    static LedgerException unexpected(RuntimeException cause) {
        return of(new ErrorDetails(
                Status.Code.UNKNOWN, String.valueOf(cause), "", Map.of(), Map.of(), null, true, cause));
    }

    /** Where a server answers in a way that would be asked for again without end. */
    public static LedgerException noProgress(String why) {
        return of(ErrorDetails.of(Status.Code.INTERNAL, why));
    }

    /** The error that a call ended with. {@code sent}: whether its request was. */
    public static LedgerException of(Status status, Metadata trailers, boolean sent) {
        var info = ErrorInfo.getDefaultInstance();
        var fields = new LinkedHashMap<String, String>();
        Duration retryDelay = null;
        try {
            var packed = trailers == null ? null : trailers.get(DETAILS);
            for (var detail : packed == null ? java.util.List.<com.google.protobuf.Any>of() : packed.getDetailsList()) {
                if (detail.is(ErrorInfo.class)) {
                    info = detail.unpack(ErrorInfo.class);
                } else if (detail.is(RetryInfo.class)) {
                    retryDelay = Protos.duration(detail.unpack(RetryInfo.class).getRetryDelay());
                } else if (detail.is(BadRequest.class)) {
                    for (var violation : detail.unpack(BadRequest.class).getFieldViolationsList()) {
                        fields.put(violation.getField(), violation.getDescription());
                    }
                }
            }
        } catch (InvalidProtocolBufferException | IllegalArgumentException unreadable) {
            // The code and the message tell enough.
        }
        return of(new ErrorDetails(
                status.getCode(),
                message(status),
                info.getReason(),
                fields,
                info.getMetadataMap(),
                retryDelay,
                sent,
                status.getCause()));
    }

    /** Of a connection that failed, gRPC tells in the cause alone what happened. */
    private static String message(Status status) {
        var description = status.getDescription();
        var message =
                description == null || description.isEmpty() ? status.getCode().name() : description;
        var cause = status.getCause();
        return cause == null || cause.getMessage() == null ? message : message + ": " + cause.getMessage();
    }
}
