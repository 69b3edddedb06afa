package dev.promptledger.client;

import static dev.promptledger.client.scripted.Events.ID;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.promptledger.client.errors.ClientClosedException;
import dev.promptledger.client.errors.DeadlineExceededException;
import dev.promptledger.client.errors.LedgerException;
import dev.promptledger.client.errors.UnavailableException;
import dev.promptledger.client.scripted.Events;
import dev.promptledger.client.scripted.Recorder;
import dev.promptledger.client.scripted.Refusal;
import dev.promptledger.client.scripted.ScriptedServer;
import dev.promptledger.v1.ExecutionStatus;
import dev.promptledger.v1.GetExecutionResponse;
import dev.promptledger.v1.RunExecutionRequest;
import dev.promptledger.v1.RunExecutionResponse;
import dev.promptledger.v1.SubmitExecutionRequest;
import dev.promptledger.v1.SubmitExecutionResponse;
import io.grpc.Status.Code;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Calls that answer once, against a server that misbehaves on command. */
class CallsTest {
    private static final RunExecutionResponse RAN = RunExecutionResponse.newBuilder()
            .setExecution(Events.execution("Hello Ada."))
            .build();
    private static final GetExecutionResponse FOUND = GetExecutionResponse.newBuilder()
            .setExecution(Events.execution("Hello Ada."))
            .build();
    private static final SubmitExecutionResponse SUBMITTED = SubmitExecutionResponse.newBuilder()
            .setExecutionId(ID)
            .setStatus(ExecutionStatus.EXECUTION_STATUS_QUEUED)
            .build();

    private final ScriptedServer server = new ScriptedServer();
    private final PromptLedger ledger = server.connect();

    @AfterEach
    void close() {
        ledger.close();
        server.close();
    }

    @Test
    void aRunAnswersTheExecution() {
        server.on("RunExecution", RAN);
        var ran = ledger.run("greet", Map.of("name", "Ada", "n", 3));
        assertEquals("Hello Ada.", ran.raiseForStatus().text());
        assertEquals(ID, ran.id());
        assertFalse(ran.reused());
        var asked = server.asked().get(0);
        var spec = server.requests(RunExecutionRequest.class).get(0).getSpec();
        assertEquals("greet", spec.getPromptName());
        assertEquals(3, spec.getVariables().getFieldsOrThrow("n").getNumberValue());
        assertEquals("", spec.getIdempotencyKey());
        assertEquals(ScriptedServer.KEY, asked.header("x-api-key"));
        assertNull(asked.header("x-ledger-project"));
        assertTrue(asked.header("user-agent").startsWith("prompt-ledger-java/"));
    }

    @Test
    void theDeadlineOfARunCoversItsAttemptsAndOtherCallsHaveThirtySeconds() {
        server.on("RunExecution", RAN).on("GetExecution", FOUND);
        ledger.run("greet", Map.of());
        ledger.run("greet", Map.of(), run -> run.timeout(Duration.ofSeconds(20)).maxRetries(2));
        ledger.run("greet", Map.of(), run -> run.deadline(Duration.ofSeconds(40)));
        ledger.handle(ID).get();
        var limits = List.of(120 + 10, 20 * 3 + 5 + 30 + 10, 40, 30);
        for (var index = 0; index < limits.size(); index++) {
            var left = server.asked().get(index).left().toMillis() / 1e3;
            var limit = limits.get(index);
            // Less by what the call took; no part of a limit is that short.
            assertTrue(limit - 8 < left && left <= limit, left + " s of " + limit + " s");
        }
    }

    @ParameterizedTest
    @CsvSource(
            nullValues = "-",
            value = {
                "UNAVAILABLE, STORE_UNAVAILABLE, -, 3",
                "UNAVAILABLE, DRAINING, 10, 3",
                "UNAVAILABLE, '', -, 3",
                "INTERNAL, '', -, 3",
                "UNKNOWN, '', -, 3",
                "CANCELLED, '', -, 3",
                "RESOURCE_EXHAUSTED, OVERLOADED, 10, 3",
                "RESOURCE_EXHAUSTED, RATE_LIMITED, 10, 3",
                "RESOURCE_EXHAUSTED, TOO_LARGE, -, 1",
                "INTERNAL, INTERNAL, -, 1",
                "NOT_FOUND, EXECUTION_NOT_FOUND, -, 1",
                "UNAUTHENTICATED, KEY_INVALID, -, 1",
            })
    void aReadIsRepeatedWhileTheFailureMayPass(Code code, String reason, Long retry, int times) {
        var refusal = Refusal.of(code, reason).retryAfter(retry == null ? null : Duration.ofMillis(retry));
        server.on("GetExecution", refusal).on("GetExecution", refusal).on("GetExecution", FOUND);
        if (times > 1) {
            assertEquals(ID, ledger.handle(ID).get().id());
        } else {
            var error = assertThrows(LedgerException.class, ledger.handle(ID)::get);
            assertEquals(code, error.code());
            assertEquals(reason, error.reason());
        }
        assertEquals(times, server.asked().size());
    }

    @ParameterizedTest
    @CsvSource({
        "UNAVAILABLE, '', '', false, 1",
        "UNAVAILABLE, STORE_UNAVAILABLE, '', false, 1",
        "RESOURCE_EXHAUSTED, RATE_LIMITED, '', false, 1",
        "RESOURCE_EXHAUSTED, OVERLOADED, '', true, 1",
        "RESOURCE_EXHAUSTED, OVERLOADED, '', false, 2",
        "UNAVAILABLE, DRAINING, '', false, 2",
        "UNAVAILABLE, '', order-1, false, 2",
        "UNAVAILABLE, STORE_UNAVAILABLE, order-1, false, 2",
    })
    void aRunWithoutAKeyIsRepeatedOnlyWhereNothingBegan(
            Code code, String reason, String key, boolean recorded, int times) {
        var refusal = Refusal.of(code, reason)
                .retryAfter(Duration.ofMillis(10))
                .metadata(recorded ? Map.of("execution_id", ID) : Map.of());
        server.on("RunExecution", refusal).on("RunExecution", RAN);
        if (times > 1) {
            ledger.run("greet", Map.of(), run -> run.idempotencyKey(key));
        } else {
            assertThrows(LedgerException.class, () -> ledger.run("greet", Map.of(), run -> run.idempotencyKey(key)));
        }
        assertEquals(times, server.asked().size());
    }

    @Test
    void aSubmitKeepsItsKeyOverItsRepeatsAndTheNextOneHasAnother() {
        server.on("SubmitExecution", Refusal.of(Code.UNAVAILABLE))
                .on("SubmitExecution", Refusal.of(Code.UNAVAILABLE, "DRAINING").retryAfter(Duration.ofMillis(10)))
                .on("SubmitExecution", SUBMITTED);
        var handle = ledger.submit("greet", Map.of("name", "Ada"));
        assertEquals(ID, handle.id());
        assertEquals(dev.promptledger.client.ExecutionStatus.QUEUED, handle.status());
        assertEquals("Handle[" + ID + "]", handle.toString());
        ledger.submit("greet", Map.of("name", "Ada"));
        ledger.submit("greet", Map.of(), submit -> submit.idempotencyKey("order-1"));
        var keys = server.requests(SubmitExecutionRequest.class).stream()
                .map(request -> request.getSpec().getIdempotencyKey())
                .toList();
        assertEquals(keys.get(0), keys.get(1));
        assertEquals(keys.get(0), keys.get(2));
        assertNotEquals(keys.get(0), keys.get(3));
        assertEquals("order-1", keys.get(4));
    }

    @Test
    void whatFindsNoConnectionIsRepeated() throws Exception {
        var log = new Recorder();
        var calls = new ArrayList<FutureTask<?>>();
        try (var nobody = PromptLedger.connect(
                options -> options.server("http://127.0.0.1:1").logger(log))) {
            calls.add(new FutureTask<>(() -> nobody.prompts().get("greet")));
            calls.add(new FutureTask<>(() -> nobody.run("greet", Map.of())));
            calls.forEach(call -> new Thread(call).start());
            // A line of INFO tells that it is tried again.
            assertTrue(log.awaits("INFO GetPrompt: UNAVAILABLE after"));
            assertTrue(log.awaits("INFO RunExecution: UNAVAILABLE after"));
            assertTrue(log.has("again in"));
        }
        for (var call : calls) {
            var ended = assertThrows(ExecutionException.class, () -> call.get(60, TimeUnit.SECONDS));
            assertInstanceOf(ClientClosedException.class, ended.getCause());
        }
    }

    @Test
    void whatFindsNoConnectionEndsAtItsDeadline() {
        var moment = Duration.ofMillis(400);
        try (var nobody = PromptLedger.connect(
                options -> options.server("http://127.0.0.1:1").timeout(moment))) {
            for (Runnable call : List.<Runnable>of(
                    () -> nobody.prompts().get("greet"),
                    () -> nobody.run("greet", Map.of(), run -> run.deadline(moment)))) {
                // The last attempt may find the deadline first.
                var ended = assertThrows(LedgerException.class, call::run);
                assertTrue(
                        ended instanceof UnavailableException || ended instanceof DeadlineExceededException,
                        ended::toString);
            }
        }
    }

    @Test
    void aCallThatIsNotAnsweredEndsAtItsDeadline() throws InterruptedException {
        server.on("GetExecution", ScriptedServer.HANG);
        try (var hasty =
                PromptLedger.connect(options -> options.server(server.url()).timeout(Duration.ofMillis(300)))) {
            var error = assertThrows(DeadlineExceededException.class, hasty.handle(ID)::get);
            assertEquals(Code.DEADLINE_EXCEEDED, error.code());
        }
    }

    @Test
    void writesThatCannotBeDoneTwiceAreNot() {
        var prompts = ledger.prompts();
        for (var method : List.of(
                "PutPrompt", "RemoveLabel", "SetActiveVersion", "SetLabel", "ArchivePrompt", "UnarchivePrompt")) {
            server.on(method, Refusal.of(Code.UNAVAILABLE));
        }
        for (Runnable write : List.<Runnable>of(
                () -> prompts.put("greet", "Hi", put -> put.etag("e")),
                () -> prompts.put("greet", "Hi", put -> put.createOnly(true)),
                () -> prompts.unlabel("greet", "production"),
                () -> prompts.activate("greet", 1, write -> write.etag("e")),
                () -> prompts.label("greet", "production", 1, write -> write.etag("e")),
                () -> prompts.archive("greet", write -> write.etag("e")),
                () -> prompts.unarchive("greet", write -> write.etag("e")))) {
            assertThrows(UnavailableException.class, write::run);
        }
        assertEquals(7, server.asked().size());
    }
}
