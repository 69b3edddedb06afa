package dev.promptledger.client.errors;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.promptledger.client.Execution;
import dev.promptledger.client.internal.Errors;
import dev.promptledger.client.scripted.Events;
import dev.promptledger.client.scripted.Refusal;
import dev.promptledger.v1.ErrorReason;
import dev.promptledger.v1.ExecutionStatus;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.Status.Code;
import java.net.ConnectException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ErrorsTest {
    /** {@code PromptNotFound} for {@code PROMPT_NOT_FOUND}. */
    private static String className(String reason) {
        return Arrays.stream(reason.split("_"))
                .map(word -> word.charAt(0) + word.substring(1).toLowerCase())
                .collect(Collectors.joining("", "", "Exception"));
    }

    @ParameterizedTest
    @EnumSource(
            value = ErrorReason.class,
            mode = EnumSource.Mode.EXCLUDE,
            names = {"ERROR_REASON_UNSPECIFIED", "UNRECOGNIZED"})
    void eachReasonOfTheContractHasAClass(ErrorReason reason) {
        var name = reason.name().substring("ERROR_REASON_".length());
        var code = List.of("DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL").contains(name)
                ? Code.valueOf(name)
                : Code.UNKNOWN;
        var details = new ErrorDetails(code, "said so", name, Map.of(), Map.of(), null, true, null);
        assertEquals(className(name), Errors.of(details).getClass().getSimpleName());
    }

    @ParameterizedTest
    @EnumSource(value = Code.class, mode = EnumSource.Mode.EXCLUDE, names = "OK")
    void eachCodeHasAClassForReasonsOfTomorrow(Code code) {
        var details = new ErrorDetails(code, "said so", "OF_TOMORROW", Map.of(), Map.of(), null, true, null);
        var error = Errors.of(details);
        assertEquals(className(code.name()), error.getClass().getSimpleName());
        assertEquals(code, error.code());
        assertEquals("OF_TOMORROW", error.reason());
    }

    @Test
    void whatTheServerHasPackedIntoAStatusIsRead() {
        var fields = Map.of("variables.name", "is missing", "variables.company", "is missing");
        var refusal = Refusal.of(Code.INVALID_ARGUMENT, "VARIABLES_MISSING")
                .fields(fields)
                .metadata(Map.of("prompt", "greet"))
                .retryAfter(Duration.ofMillis(1_500));
        var error = assertInstanceOf(
                VariablesMissingException.class, Errors.of(refusal.status(), refusal.trailers(), true));
        assertInstanceOf(InvalidArgumentException.class, error);
        assertEquals(List.of("company", "name"), error.missing());
        assertEquals(fields, error.fields());
        assertEquals(Map.of("prompt", "greet"), error.metadata());
        assertEquals(Optional.of(Duration.ofMillis(1_500)), error.retryAfter());
        assertEquals("said so", error.getMessage());
    }

    @Test
    void aStatusWithoutReadableDetailsTellsItsCode() {
        var unreadable = new Metadata();
        unreadable.put(
                Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER),
                "no message".getBytes(StandardCharsets.UTF_8));
        for (var trailers : new Metadata[] {null, new Metadata(), unreadable}) {
            var error = Errors.of(Status.NOT_FOUND, trailers, true);
            assertInstanceOf(NotFoundException.class, error);
            assertEquals("NOT_FOUND", error.getMessage());
            assertEquals("", error.reason());
        }
    }

    @Test
    void aConnectionThatFailedTellsWhy() {
        var status = Status.UNAVAILABLE.withDescription("io exception").withCause(new ConnectException("refused"));
        assertEquals("io exception: refused", Errors.of(status, null, false).getMessage());
    }

    @Test
    void someErrorsNameTheExecution() {
        var metadata = Map.of("execution_id", "e1");
        var reused = Refusal.of(Code.ALREADY_EXISTS, "IDEMPOTENCY_KEY_REUSED").metadata(metadata);
        var overloaded = Refusal.of(Code.RESOURCE_EXHAUSTED, "OVERLOADED").metadata(metadata);
        assertEquals(
                "e1",
                assertInstanceOf(
                                IdempotencyKeyReusedException.class,
                                Errors.of(reused.status(), reused.trailers(), true))
                        .executionId());
        var error = assertInstanceOf(
                OverloadedException.class, Errors.of(overloaded.status(), overloaded.trailers(), true));
        assertEquals("e1", error.executionId());
        assertFalse(error.nothingBegan(), "an execution was recorded");
    }

    @Test
    void whatWasNotSentCannotHaveBegun() {
        assertTrue(Errors.of(Status.UNAVAILABLE, null, false).nothingBegan());
        assertFalse(Errors.of(Status.UNAVAILABLE, null, true).nothingBegan());
        assertFalse(Errors.of(Status.DEADLINE_EXCEEDED, null, false).nothingBegan());
        var draining = Refusal.of(Code.UNAVAILABLE, "DRAINING");
        assertTrue(Errors.of(draining.status(), draining.trailers(), true).nothingBegan());
    }

    @Test
    void aFailedExecutionSaysWhy() {
        var raw = Events.execution("").toBuilder().setStatus(ExecutionStatus.EXECUTION_STATUS_FAILED);
        var plain = new ExecutionFailedException(new Execution(raw.build(), false));
        assertEquals("execution " + Events.ID + " failed", plain.getMessage());
        var typed = new ExecutionFailedException(
                new Execution(raw.setErrorType("timeout").build(), false));
        assertEquals("execution " + Events.ID + " failed: timeout", typed.getMessage());
        assertEquals("timeout", typed.execution().errorType());
    }
}
