package dev.promptledger.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.promptledger.client.errors.ExecutionFinishedException;
import dev.promptledger.client.errors.IdempotencyKeyReusedException;
import dev.promptledger.client.errors.KeyInvalidException;
import dev.promptledger.client.errors.KeyMissingException;
import dev.promptledger.client.errors.ModeMismatchException;
import dev.promptledger.client.errors.PromptNotFoundException;
import dev.promptledger.client.errors.VariablesMissingException;
import dev.promptledger.client.testing.DevServer;
import dev.promptledger.client.testing.PromptLedgerExtension;
import dev.promptledger.v1.GetPromptAnalyticsRequest;
import dev.promptledger.v1.VerificationResult;
import dev.promptledger.v1.VerifyExecutionRequest;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.extension.ExtendWith;

/** All of it against a real server. */
@ExtendWith(PromptLedgerExtension.class)
class LedgerTest {
    private PromptLedger ledger;
    /** The name of this test's own prompt. */
    private String own;

    @BeforeEach
    void begin(PromptLedger client, TestInfo test) {
        ledger = client;
        own = test.getTestMethod().orElseThrow().getName();
    }

    @Test
    void aRunIsRecordedAndCanBeVerified() {
        ledger.prompts().put(own, "Say hello to {{name}}.", put -> put.setActive(true));
        var ran = ledger.run(
                        own,
                        Map.of("name", "Ada"),
                        run -> run.metadata(Map.of("user", "u-17")).correlationId("c-1"))
                .raiseForStatus();
        assertEquals("Say hello to Ada.", ran.renderedPrompt());
        assertTrue(ran.succeeded() && !ran.text().isEmpty());
        assertEquals("dev", ran.environment());
        assertEquals("Execution[" + ran.id() + ", SUCCEEDED]", ran.toString());
        var again = ledger.handle(ran.id()).get();
        assertEquals(ran.text(), again.text());
        assertEquals(ExecutionMode.SYNC, again.mode());
        assertEquals(1, again.versionNumber());
        assertEquals(Map.of("user", "u-17"), again.metadata());
        assertTrue(again.promptTokens().isPresent() && again.responseTokens().isPresent());
        assertTrue(again.latency().isPresent());
        assertTrue(!again.completedAt().orElseThrow().isBefore(again.createdAt()));
        assertEquals(again.costNanoUsd(), ran.costNanoUsd());
        var listed = ledger
                .executions(filter -> filter.promptName(own)
                        .version(1)
                        .metadata(Map.of("user", "u-17"))
                        .statuses(ExecutionStatus.SUCCEEDED)
                        .mode(ExecutionMode.SYNC)
                        .environment("dev")
                        .model("echo/")
                        .correlationId("c-1")
                        .from(Instant.EPOCH)
                        .until(Instant.now().plusSeconds(3_600)))
                .stream()
                .toList();
        assertEquals(1, listed.size());
        assertEquals("", listed.get(0).text(), "without its text");
        assertFalse(ledger.executions(
                        filter -> filter.promptName(own).full(true).label("").errorType(""))
                .iterator()
                .next()
                .text()
                .isEmpty());
        assertTrue(ledger.executions().pageSize(1).stream()
                .anyMatch(each -> each.id().equals(ran.id())));
        var verified = ledger.raw()
                .executions()
                .verifyExecution(VerifyExecutionRequest.newBuilder()
                        .setExecutionId(ran.id())
                        .build());
        assertEquals(VerificationResult.VERIFICATION_RESULT_MATCH, verified.getResult());
    }

    @Test
    void whatIsMissingAndWhatIsInTheWrongModeIsTold() {
        ledger.prompts().put(own, "{{user.name}} at {{company}}", put -> put.setActive(true));
        var missing = assertThrows(VariablesMissingException.class, () -> ledger.run(own, Map.of("user", Map.of())));
        assertEquals(List.of("company", "user.name"), missing.missing());
        var mode = assertThrows(ModeMismatchException.class, () -> ledger.execute(own, Map.of()));
        assertEquals("full", mode.metadata().get("mode"));
        assertThrows(PromptNotFoundException.class, () -> ledger.prompts().get("nobody"));
        var raw = assertThrows(
                StatusRuntimeException.class,
                () -> ledger.raw().executions().verifyExecution(VerifyExecutionRequest.getDefaultInstance()));
        assertEquals(Code.INVALID_ARGUMENT, raw.getStatus().getCode());
        assertTrue(ledger.raw()
                .analytics()
                .getPromptAnalytics(GetPromptAnalyticsRequest.getDefaultInstance())
                .isInitialized());
        assertTrue(ledger.raw().registry().getChannel() == ledger.raw().channel());
    }

    @Test
    void aSubmittedExecutionIsWatchedToItsEnd() {
        ledger.prompts().put(own, "Hi {{name}}", put -> put.setActive(true));
        var handle = ledger.submit(
                own, Map.of("name", "Ada"), submit -> submit.streamText(true).idempotencyKey(own));
        var result = handle.result(Duration.ofSeconds(30));
        assertEquals(ExecutionMode.ASYNC, result.mode());
        assertTrue(result.succeeded());
        var again = ledger.submit(
                own, Map.of("name", "Ada"), submit -> submit.streamText(true).idempotencyKey(own));
        assertEquals(handle.id(), again.id());
        assertTrue(again.reused());
        assertEquals(ExecutionStatus.SUCCEEDED, again.status());
        var reused = assertThrows(
                IdempotencyKeyReusedException.class,
                () -> ledger.submit(own, Map.of("name", "Bob"), submit -> submit.idempotencyKey(own)));
        assertEquals(handle.id(), reused.executionId());
        var statuses = new ArrayList<ExecutionStatus>();
        try (var updates = handle.watch()) {
            for (var update : updates) {
                if (update instanceof StateChange change) {
                    statuses.add(change.to());
                }
            }
            assertEquals(result.text(), updates.text());
        }
        assertEquals(List.of(ExecutionStatus.QUEUED, ExecutionStatus.RUNNING, ExecutionStatus.SUCCEEDED), statuses);
        assertThrows(ExecutionFinishedException.class, () -> handle.cancel("too late"));
        assertThrows(ExecutionFinishedException.class, handle::cancel);
        assertEquals(result.text(), ledger.watch(handle.id(), 2).result().text());
    }

    @Test
    void aStreamAndATail() {
        ledger.prompts().put(own, "Hi {{name}}", put -> put.setActive(true));
        try (var tail = ledger.tail(filter -> filter.promptName(own).since(Instant.now()));
                var stream = ledger.stream(own, Map.of("name", "Ada"))) {
            assertInstanceOf(TailUpdate.Synced.class, tail.next());
            var pieces = String.join("", stream.texts().toList());
            var result = stream.result();
            assertEquals(result.text(), pieces);
            assertEquals(result.id(), stream.executionId());
            for (var status : List.of(ExecutionStatus.RUNNING, ExecutionStatus.SUCCEEDED)) {
                var changed = assertInstanceOf(TailUpdate.Changed.class, tail.next());
                assertEquals(result.id(), changed.change().executionId());
                assertEquals(status, changed.change().to());
                assertEquals(own, changed.change().promptName());
            }
        }
        try (var all = ledger.tail()) {
            assertTrue(all.hasNext());
        }
    }

    @Test
    void aWrongKeyIsRefused(DevServer server) {
        assertEquals("DevServer[" + server.server() + "]", server.toString());
        try (var wrong = server.connect(options -> options.apiKey("pl_wrong-and-secret"));
                var nobody = server.connect(options -> options.apiKey(""))) {
            assertThrows(KeyInvalidException.class, () -> wrong.run(own, Map.of()));
            assertThrows(
                    KeyInvalidException.class,
                    () -> wrong.watch("0190163d-8694-739b-aea5-966c26f8ad91").next());
            assertThrows(KeyInvalidException.class, () -> wrong.promptCache().synced());
            assertThrows(KeyMissingException.class, () -> nobody.prompts().get("greet"));
        }
    }

    @Test
    void manyThreadsShareAClient() throws Exception {
        ledger.prompts().put(own, "Hi {{n}}", put -> put.setActive(true));
        var threads = Executors.newFixedThreadPool(8);
        try {
            var ran = IntStream.range(0, 40)
                    .mapToObj(n ->
                            threads.submit(() -> ledger.run(own, Map.of("n", n)).renderedPrompt()))
                    .toList();
            for (var n = 0; n < ran.size(); n++) {
                Future<String> rendered = ran.get(n);
                assertEquals("Hi " + n, rendered.get());
            }
        } finally {
            threads.shutdown();
        }
    }
}
