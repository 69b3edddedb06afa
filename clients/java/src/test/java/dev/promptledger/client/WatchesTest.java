package dev.promptledger.client;

import static dev.promptledger.client.scripted.Events.ID;
import static dev.promptledger.client.scripted.Events.at;
import static dev.promptledger.client.scripted.Events.end;
import static dev.promptledger.client.scripted.Events.execution;
import static dev.promptledger.client.scripted.Events.heartbeat;
import static dev.promptledger.client.scripted.Events.reused;
import static dev.promptledger.client.scripted.Events.running;
import static dev.promptledger.client.scripted.Events.snapshot;
import static dev.promptledger.client.scripted.Events.streamed;
import static dev.promptledger.client.scripted.Events.synced;
import static dev.promptledger.client.scripted.Events.tailed;
import static dev.promptledger.client.scripted.Events.text;
import static dev.promptledger.client.scripted.Events.watched;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.promptledger.client.errors.ClientClosedException;
import dev.promptledger.client.errors.DeadlineExceededException;
import dev.promptledger.client.errors.ExecutionNotFoundException;
import dev.promptledger.client.errors.GaveUpException;
import dev.promptledger.client.errors.NotResumableException;
import dev.promptledger.client.scripted.Refusal;
import dev.promptledger.client.scripted.ScriptedServer;
import dev.promptledger.v1.ExecutionView;
import dev.promptledger.v1.GetExecutionResponse;
import dev.promptledger.v1.StreamCodePromptResponse;
import dev.promptledger.v1.StreamExecutionRequest;
import dev.promptledger.v1.WatchExecutionRequest;
import dev.promptledger.v1.WatchExecutionsRequest;
import io.grpc.Status.Code;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Watches, tails and streams, against a server whose streams break. */
class WatchesTest {
    private static final Refusal AGED = Refusal.of(Code.UNAVAILABLE, "DRAINING").retryAfter(Duration.ofMillis(10));

    private final ScriptedServer server = new ScriptedServer();
    private final List<PromptLedger> clients = new ArrayList<>();

    @AfterEach
    void close() {
        clients.forEach(PromptLedger::close);
        server.close();
    }

    private PromptLedger connect() {
        return connect(options -> {});
    }

    private PromptLedger connect(Consumer<ConnectOptions> options) {
        var client = PromptLedger.connect(given -> options.accept(given.server(server.url())));
        clients.add(client);
        return client;
    }

    /** Updates in short. */
    private static List<String> said(Iterator<Update> updates) {
        var said = new ArrayList<String>();
        updates.forEachRemaining(update -> said.add(said(update)));
        return said;
    }

    private static String said(Update update) {
        if (update instanceof Update.Text text) {
            return text.text();
        } else if (update instanceof StateChange change) {
            return Long.toString(change.sequence());
        } else if (update instanceof Update.Ended ended) {
            return "ended " + ended.execution().status();
        }
        return update.getClass().getSimpleName();
    }

    private List<Long> cursors() {
        return server.requests(WatchExecutionRequest.class).stream()
                .map(WatchExecutionRequest::getAfterSequence)
                .toList();
    }

    @ParameterizedTest
    @CsvSource({
        "UNAVAILABLE, DRAINING",
        "UNAVAILABLE, ''",
        "ABORTED, SLOW_CONSUMER",
        "INTERNAL, ''",
        "CANCELLED, ''",
        "OK, ''",
    })
    void aWatchGoesOnWhereItsStreamBroke(Code code, String reason) {
        server.on(
                        "WatchExecution",
                        watched(snapshot(2)),
                        watched(running(1)),
                        watched(running(2)),
                        watched(text(1, 0, "one ")),
                        watched(text(1, 4, "two ")),
                        Refusal.of(code, reason))
                .on(
                        "WatchExecution",
                        watched(text(1, 0, "one two t")),
                        watched(text(1, 9, "hree")),
                        watched(end(3, "one two three")));
        var updates = connect().watch(ID);
        assertEquals(List.of("1", "2", "one ", "two ", "t", "hree", "3", "ended SUCCEEDED"), said(updates));
        assertEquals("one two three", updates.text());
        assertEquals(ID, updates.executionId());
        assertEquals(List.of(0L, 2L), cursors());
        assertThrows(NoSuchElementException.class, updates::next);
    }

    @Test
    void silenceIsABreak() throws InterruptedException {
        // To connect may take longer than the silence: then nothing of the first stream was heard.
        server.on("WatchExecution", watched(running(1)), ScriptedServer.HANG)
                .on("WatchExecution", watched(running(1)), watched(end(2, "hi")));
        var ledger = connect(options -> options.silence(Duration.ofMillis(500)));
        assertEquals(List.of("1", "hi", "2", "ended SUCCEEDED"), said(ledger.watch(ID)));
        assertTrue(server.wasHungUp());
    }

    @Test
    void aRefusalIsFinalAndNothingFollowsIt() {
        server.on("WatchExecution", Refusal.of(Code.NOT_FOUND, "EXECUTION_NOT_FOUND"));
        var updates = connect().watch(ID);
        assertThrows(ExecutionNotFoundException.class, updates::next);
        assertFalse(updates.hasNext());
        assertThrows(ClientClosedException.class, updates::result);
        assertEquals(1, server.asked().size());
    }

    @Test
    void aWatchGivesUpWhenPatienceEnds() {
        server.on("WatchExecution", watched(snapshot(0)));
        var updates =
                connect(options -> options.patience(Duration.ofMillis(300))).watch(ID, 0);
        var error = assertThrows(GaveUpException.class, updates::hasNext);
        assertTrue(error.getMessage().contains("without news"));
        assertTrue(server.asked().size() > 1);
    }

    @Test
    void aResultIsWaitedFor() {
        server.on("WatchExecution", watched(end(1, "hi")));
        assertEquals("hi", connect().handle(ID).result(Duration.ofSeconds(60)).text());
    }

    @Test
    void aResultIsWaitedForInTime() throws InterruptedException {
        server.on("WatchExecution", watched(snapshot(1)), ScriptedServer.HANG);
        var handle = connect().handle(ID);
        // The time may be over before the server has the call: then another one is made.
        var attempts = 0;
        do {
            assertThrows(DeadlineExceededException.class, () -> handle.result(Duration.ofMillis(300)));
        } while (!server.wasHungUp(Duration.ofSeconds(1)) && ++attempts < 60);
        assertTrue(server.wasHungUp(Duration.ZERO));
    }

    @Test
    void aResultIsWaitedForNoLongerThanTheDelayOfTheNextStream() {
        server.on("WatchExecution", Refusal.of(Code.UNAVAILABLE, "DRAINING").retryAfter(Duration.ofMinutes(1)));
        var updates = connect().watch(ID);
        assertThrows(DeadlineExceededException.class, () -> updates.result(Duration.ofMillis(300)));
        updates.close();
        assertFalse(updates.hasNext());
    }

    @Test
    void aStreamGivesTextAndThenTheResult() {
        server.on(
                "StreamExecution",
                streamed(snapshot(1)),
                streamed(text(1, 0, "Hello ")),
                streamed(text(1, 6, "Ada.")),
                streamed(end(1, "Hello Ada.")));
        try (var stream = connect().stream("greet", Map.of("name", "Ada"))) {
            assertEquals(List.of("Hello ", "Ada."), stream.texts().toList());
            assertEquals("Hello Ada.", stream.result().text());
            assertEquals("Hello Ada.", stream.result(Duration.ZERO).text());
        }
    }

    @Test
    void aStreamWithoutAKeyBreaksOnceItHasBegun() {
        server.on("StreamExecution", AGED)
                .on("StreamExecution", streamed(text(1, 0, "Hello ")), Refusal.of(Code.UNAVAILABLE));
        var stream = connect().stream("greet", Map.of());
        assertEquals("Hello ", said(stream.next()));
        assertThrows(NotResumableException.class, stream::next);
        assertEquals(2, server.asked().size(), "nothing had begun at the first");
    }

    @Test
    void aStreamWithAKeyGoesOnAsAWatch() {
        server.on("StreamExecution", Refusal.of(Code.UNAVAILABLE))
                .on(
                        "StreamExecution",
                        streamed(reused(1)),
                        streamed(running(1)),
                        streamed(text(1, 0, "Hello ")),
                        Refusal.of(Code.INTERNAL))
                .on("WatchExecution", watched(text(1, 0, "Hello Ada.")), watched(end(2, "Hello Ada.")));
        var stream = connect().stream("greet", Map.of(), options -> options.idempotencyKey("k"));
        assertEquals(List.of("Joined", "1", "Hello ", "Ada.", "2", "ended SUCCEEDED"), said(stream));
        assertEquals(
                List.of("k", "k"),
                server.requests(StreamExecutionRequest.class).stream()
                        .map(request -> request.getSpec().getIdempotencyKey())
                        .toList());
        assertEquals(List.of(1L), cursors());
    }

    @Test
    void closingAStreamHangsUp() throws InterruptedException {
        server.on("StreamExecution", streamed(text(1, 0, "Hello ")), ScriptedServer.HANG);
        var stream = connect().stream("greet", Map.of());
        assertEquals("Hello ", said(stream.next()));
        stream.close();
        assertTrue(server.wasHungUp());
        assertFalse(stream.hasNext());
    }

    @Test
    void anotherThreadMayCloseWhatIsWaitedFor() throws Exception {
        var opened = new CountDownLatch(1);
        server.on("WatchExecution", watched(snapshot(1)), (Runnable) opened::countDown, ScriptedServer.HANG);
        var updates = connect().watch(ID);
        var waiting = new FutureTask<>(updates::hasNext);
        new Thread(waiting).start();
        assertTrue(opened.await(60, TimeUnit.SECONDS));
        updates.close();
        assertFalse(waiting.get(60, TimeUnit.SECONDS));
    }

    @Test
    void aStreamOfAPromptInCode() {
        var event = StreamCodePromptResponse.newBuilder().setEvent(end(1, "hi")).build();
        server.on("StreamCodePrompt", event);
        var ledger = connect(options -> options.trackingOnly(true));
        assertEquals("hi", ledger.stream("WELCOME", Map.of()).result().text());
    }

    @Test
    void aReaderThatIsTooSlowGetsAllOfItByAnotherStream() throws InterruptedException {
        var go = new CountDownLatch(1);
        var first = new ArrayList<Object>(List.of(watched(running(1)), go));
        for (var sequence = 2; sequence < 1_200; sequence++) {
            first.add(watched(running(sequence)));
        }
        first.add(ScriptedServer.HANG);
        server.on("WatchExecution", first.toArray())
                .on("WatchExecution", watched(running(1_026)), watched(end(1_027, "")));
        var updates = connect().watch(ID);
        assertEquals("1", said(updates.next()));
        go.countDown();
        // The buffer is full by now: the server sees that its client hangs up.
        assertTrue(server.wasHungUp());
        var said = said(updates);
        assertEquals(1_027, said.size());
        assertEquals("ended SUCCEEDED", said.get(1_026));
        for (var index = 0; index < 1_026; index++) {
            assertEquals(Integer.toString(index + 2), said.get(index));
        }
        assertEquals(List.of(0L, 1_025L), cursors());
    }

    @Test
    void aSlowReaderOfAStreamWithoutAKeyStopsNoOtherCall() throws InterruptedException {
        var pieces = new ArrayList<Object>(List.of(streamed(text(1, 0, "x"))));
        var long_ = "y".repeat(1_000);
        for (var piece = 0; piece < 3_000; piece++) {
            pieces.add(streamed(text(1, 1 + 1_000 * piece, long_)));
        }
        var whole = "x" + long_.repeat(3_000);
        pieces.add(streamed(end(1, whole)));
        server.on("StreamExecution", pieces.toArray())
                .on(
                        "GetExecution",
                        GetExecutionResponse.newBuilder()
                                .setExecution(execution("hi"))
                                .build());
        var ledger = connect();
        var stream = ledger.stream("greet", Map.of());
        assertEquals("x", said(stream.next()));
        assertEquals("hi", ledger.handle(ID).get().text());
        assertEquals(whole, stream.result().text());
        assertEquals(whole, stream.text());
        assertEquals(List.of("StreamExecution", "GetExecution"), server.methods());
    }

    @Test
    void aTailTellsEachChangeOnce() {
        var found = snapshot(2).toBuilder();
        found.getSnapshotBuilder().setExecution(execution("hi"));
        var later = at(running(3), 2_000);
        server.on("WatchExecutions", tailed(found.build()), tailed(synced(1_000)), tailed(later), AGED)
                .on(
                        "WatchExecutions",
                        tailed(found.build()),
                        tailed(synced(1_000)),
                        tailed(later),
                        tailed(running(4)),
                        ScriptedServer.HANG);
        var tail = connect()
                .tail(filter -> filter.promptName("greet")
                        .statuses(ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED)
                        .environment("prod")
                        .full(true));
        var told = new ArrayList<TailUpdate>();
        for (var update : tail) {
            told.add(update);
            if (told.size() == 4) {
                break;
            }
        }
        assertEquals(2, ((TailUpdate.Found) told.get(0)).sequence());
        assertEquals(new TailUpdate.Synced(), told.get(1));
        assertEquals(3, ((TailUpdate.Changed) told.get(2)).change().sequence());
        assertEquals(4, ((TailUpdate.Changed) told.get(3)).change().sequence());
        tail.close();
        assertThrows(NoSuchElementException.class, tail::next);
        var requests = server.requests(WatchExecutionsRequest.class);
        assertEquals(List.of(3, 4), requests.get(0).getStatusesValueList());
        assertEquals(ExecutionView.EXECUTION_VIEW_FULL, requests.get(0).getView());
        assertFalse(requests.get(0).hasSince());
        assertEquals(2_000, requests.get(1).getSince().getSeconds());
    }

    @Test
    void closingTheClientEndsItsWatches() {
        server.on("WatchExecution", watched(running(1)), ScriptedServer.HANG);
        var ledger = connect();
        var updates = ledger.watch(ID);
        updates.next();
        ledger.close();
        assertThrows(ClientClosedException.class, updates::hasNext);
    }

    @Test
    void anInterruptedReaderStops() throws Exception {
        var opened = new CountDownLatch(1);
        server.on("WatchExecution", (Runnable) opened::countDown, ScriptedServer.HANG);
        var updates = connect().watch(ID);
        var waiting = new FutureTask<>(() -> {
            assertThrows(dev.promptledger.client.errors.CancelledException.class, updates::hasNext);
            return Thread.currentThread().isInterrupted();
        });
        var thread = new Thread(waiting);
        thread.start();
        assertTrue(opened.await(60, TimeUnit.SECONDS));
        thread.interrupt();
        assertTrue(waiting.get(60, TimeUnit.SECONDS));
    }

    @Test
    void heartbeatsKeepAWatchAlive() {
        server.on(
                "WatchExecution",
                watched(heartbeat(1)),
                watched(heartbeat(1)),
                watched(heartbeat(1)),
                watched(end(2, "hi")));
        assertEquals(List.of("hi", "2", "ended SUCCEEDED"), said(connect().watch(ID, 1)));
    }
}
