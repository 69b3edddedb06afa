package dev.promptledger.client;

import static dev.promptledger.client.scripted.Events.ID;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.promptledger.client.errors.ClientClosedException;
import dev.promptledger.client.errors.InternalException;
import dev.promptledger.client.errors.TemplateInvalidException;
import dev.promptledger.client.internal.Protos;
import dev.promptledger.client.internal.steps.Deadlines;
import dev.promptledger.client.scripted.Refusal;
import dev.promptledger.client.scripted.ScriptedServer;
import dev.promptledger.v1.BatchGetPromptsResponse;
import dev.promptledger.v1.ExecutionSpec;
import dev.promptledger.v1.ListPromptsResponse;
import io.grpc.Status.Code;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Against a server that sends what no server should, and a user who lets go of what was begun. */
class HostileTest {
    private final ScriptedServer server = new ScriptedServer();

    @AfterEach
    void close() {
        server.close();
    }

    @Test
    void aServerThatGetsNoFurtherIsAskedNoMore() {
        server.on(
                "ListPrompts",
                ListPromptsResponse.newBuilder().setNextPageToken("2").build());
        server.on(
                "BatchGetPrompts",
                BatchGetPromptsResponse.newBuilder()
                        .addLeftOut("a")
                        .addLeftOut("b")
                        .build());
        try (var ledger = server.connect()) {
            assertThrows(
                    InternalException.class,
                    () -> ledger.prompts().list().stream().toList());
            var names = List.of("a", "b");
            assertThrows(InternalException.class, () -> ledger.prompts().batchGet(names));
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {Long.MIN_VALUE, -1, 0, Long.MAX_VALUE})
    void aDelayThatNoServerShouldAskForIsAnErrorOfItsReason(long seconds) {
        var refusal = Refusal.of(Code.INVALID_ARGUMENT, "TEMPLATE_INVALID").retryAfter(Duration.ofSeconds(seconds));
        server.on("GetExecution", refusal);
        server.on("WatchExecution", refusal);
        try (var ledger = server.connect()) {
            var handle = ledger.handle(ID);
            for (var error : List.of(
                    assertThrows(TemplateInvalidException.class, handle::get),
                    assertThrows(TemplateInvalidException.class, handle::result))) {
                assertEquals(seconds, error.retryAfter().orElseThrow().getSeconds());
            }
        }
    }

    @Test
    void timesAndDelaysBeyondThoseOfJavaAreTheNearest() {
        var duration = com.google.protobuf.Duration.newBuilder()
                .setSeconds(Long.MAX_VALUE)
                .setNanos(Integer.MAX_VALUE);
        assertEquals(Duration.ofSeconds(Long.MAX_VALUE), Protos.duration(duration.build()));
        for (var seconds : new long[] {Long.MIN_VALUE, Long.MAX_VALUE}) {
            var stamp = com.google.protobuf.Timestamp.newBuilder()
                    .setSeconds(seconds)
                    .setNanos(seconds < 0 ? -1 : Integer.MAX_VALUE);
            assertEquals(seconds < 0 ? Instant.MIN : Instant.MAX, Protos.instant(stamp.build()));
        }
        var spec = ExecutionSpec.newBuilder().setTimeout(duration).setMaxRetries(Integer.MAX_VALUE);
        assertTrue(Deadlines.of(spec.build()).toDays() > 365);
    }

    private static List<String> running() {
        return Thread.getAllStackTraces().keySet().stream()
                .map(Thread::getName)
                .filter(name -> name.startsWith("prompt-ledger"))
                .toList();
    }

    @Test
    @Timeout(30)
    void nothingRunsOnBehindAClosedClient() throws InterruptedException {
        server.on("WatchPrompts", Refusal.of(Code.UNAVAILABLE, "DRAINING").retryAfter(Duration.ofHours(1)));
        server.on("WatchExecutions", Refusal.of(Code.UNAVAILABLE, "DRAINING").retryAfter(Duration.ofHours(1)));
        var threads = new ArrayList<Thread>();
        for (var round = 0; round < 3; round++) {
            var ledger = server.connect();
            ledger.promptCache().onChange(name -> {});
            var tail = ledger.tail();
            var reader = new Thread(() -> assertThrows(ClientClosedException.class, tail::next), "prompt-ledger-test");
            reader.start();
            threads.add(reader);
            ledger.close();
            ledger.close();
            assertThrows(ClientClosedException.class, () -> ledger.run("greet", Map.of()));
        }
        for (var thread : threads) {
            thread.join();
        }
        while (!running().isEmpty()) {
            Thread.onSpinWait();
        }
    }
}
