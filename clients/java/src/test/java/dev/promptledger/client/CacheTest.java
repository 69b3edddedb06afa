package dev.promptledger.client;

import static dev.promptledger.client.scripted.Events.prompt;
import static dev.promptledger.client.scripted.Events.promptsHeartbeat;
import static dev.promptledger.client.scripted.Events.promptsSynced;
import static dev.promptledger.client.scripted.ScriptedServer.HANG;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.promptledger.client.errors.ClientClosedException;
import dev.promptledger.client.errors.DeadlineExceededException;
import dev.promptledger.client.errors.KeyInvalidException;
import dev.promptledger.client.errors.NotSyncedException;
import dev.promptledger.client.scripted.Recorder;
import dev.promptledger.client.scripted.Refusal;
import dev.promptledger.client.scripted.ScriptedServer;
import dev.promptledger.v1.WatchPromptsRequest;
import io.grpc.Status.Code;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Prompts in memory, fed by a server that goes away. */
class CacheTest {
    private static final Duration SOON = Duration.ofSeconds(60);
    private static final List<Object> ALL =
            List.of(prompt(0, "a", "staging", 1, 2), prompt(0, "b", "", 5), promptsSynced(7));

    private final ScriptedServer server = new ScriptedServer();
    private final Recorder log = new Recorder();
    private final PromptLedger ledger =
            PromptLedger.connect(options -> options.server(server.url()).logger(log));

    @AfterEach
    void close() {
        ledger.close();
        server.close();
    }

    /** Everything, and then more. */
    private static Object[] allAnd(Object... more) {
        var items = new ArrayList<>(ALL);
        items.addAll(Arrays.asList(more));
        return items.toArray();
    }

    private List<Long> cursors() {
        return server.requests(WatchPromptsRequest.class).stream()
                .map(WatchPromptsRequest::getAfterRevision)
                .toList();
    }

    private static String template(PromptCache cache, String name) {
        return cache.get(name).map(PromptVersion::template).orElse("none");
    }

    @Test
    void promptsAreReadFromMemory() {
        var go = new CountDownLatch(1);
        var items = new ArrayList<Object>(List.of(go));
        items.addAll(ALL);
        items.add(HANG);
        server.on("WatchPrompts", items.toArray());
        var cache = ledger.promptCache(options -> options.names("a", "b").namePrefix("shop."));
        assertThrows(NotSyncedException.class, () -> cache.get("a"));
        assertTrue(cache.staleSince().isPresent());
        assertEquals(0, cache.revision());
        go.countDown();
        cache.synced();
        assertEquals("a 1", template(cache, "a"));
        assertEquals(1, cache.get("a", "active").orElseThrow().number());
        assertEquals("a 2", cache.get("a", "staging").orElseThrow().template());
        assertEquals(Optional.empty(), cache.get("a", "latest"));
        assertEquals(Optional.empty(), cache.get("c"));
        assertEquals(5, cache.prompt("b").orElseThrow().activeVersion().getAsInt());
        assertEquals(List.of("a", "b"), cache.names());
        assertEquals(7, cache.revision());
        assertEquals(Optional.empty(), cache.staleSince());
        assertEquals(Optional.empty(), cache.failure());
        var request = server.requests(WatchPromptsRequest.class).get(0);
        assertEquals(List.of("a", "b"), request.getNamesList());
        assertEquals("shop.", request.getNamePrefix());
        cache.close();
        assertEquals("a 1", template(cache, "a"), "what is held can still be read");
        assertTrue(cache.staleSince().isPresent());
        assertThrows(DeadlineExceededException.class, () -> cache.reached(100, SOON));
    }

    @Test
    void changesComeLiveAndASlowListenerIsToldSeveralAsOne() throws InterruptedException {
        var go = new CountDownLatch(1);
        server.on(
                "WatchPrompts",
                allAnd(
                        go,
                        prompt(8, "a", "", 2),
                        prompt(9, "a", "", 3),
                        prompt(9, "b", "", 5),
                        prompt(10, "c", ""),
                        HANG));
        var cache = ledger.promptCache().synced();
        var quick = new LinkedBlockingQueue<String>();
        var slow = new LinkedBlockingQueue<String>();
        var begun = new CountDownLatch(1);
        var on = new CountDownLatch(1);
        cache.onChange(quick::add);
        var end = cache.onChange(name -> {
            slow.add(name + " " + cache.get(name).map(PromptVersion::number).orElse(0));
            begun.countDown();
            try {
                on.await();
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
            }
        });
        cache.onChange(name -> {
            throw new IllegalStateException("a listener of no use");
        });
        go.countDown();
        cache.reached(10, SOON);
        assertTrue(begun.await(60, TimeUnit.SECONDS));
        assertEquals(3, cache.get("a").orElseThrow().number(), "nobody is delayed");
        assertEquals(Optional.empty(), cache.get("a", "staging"));
        assertEquals("a", quick.poll(60, TimeUnit.SECONDS));
        end.run();
        on.countDown();
        cache.close();
        assertTrue(slow.size() <= 1, "nothing is told once it was ended");
        assertTrue(log.awaits("a listener of a cache of prompts failed"));
    }

    @Test
    void aListenerIsToldEachChangeOnce() throws InterruptedException {
        var go = new CountDownLatch(1);
        var items = new ArrayList<Object>(List.of(allAnd(go)));
        var expected = new ArrayList<String>();
        // Fewer than a stream keeps for a slow reader.
        for (var number = 0; number < 900; number++) {
            expected.add("p" + number);
            items.add(prompt(8 + number, "p" + number, "", 1));
        }
        items.add(HANG);
        server.on("WatchPrompts", items.toArray());
        var cache = ledger.promptCache().synced();
        var told = new LinkedBlockingQueue<String>();
        cache.onChange(told::add);
        go.countDown();
        for (var name : expected) {
            assertEquals(name, told.poll(60, TimeUnit.SECONDS));
        }
        assertEquals(List.of(), List.copyOf(told));
    }

    @Test
    void aListenerIsToldOnceWhatHasChangedCanBeRead() throws InterruptedException {
        var go = new CountDownLatch(1);
        server.on(
                        "WatchPrompts",
                        go,
                        prompt(0, "a", "", 1),
                        Refusal.of(Code.UNAVAILABLE, "DRAINING").retryAfter(Duration.ofMillis(10)))
                .on("WatchPrompts", allAnd(HANG));
        var cache = ledger.promptCache();
        var told = new LinkedBlockingQueue<String>();
        cache.onChange(name -> told.add(template(cache, name)));
        go.countDown();
        assertEquals("a 1", told.poll(60, TimeUnit.SECONDS));
        assertEquals("b 5", told.poll(60, TimeUnit.SECONDS));
        assertFalse(log.has("a listener of a cache of prompts failed"));
    }

    @Test
    void aListenerIsToldNothingThatCanNeverBeRead() throws InterruptedException {
        var go = new CountDownLatch(1);
        server.on("WatchPrompts", go, prompt(0, "a", "", 1), Refusal.of(Code.UNAUTHENTICATED, "KEY_INVALID"));
        var cache = ledger.promptCache();
        var told = new LinkedBlockingQueue<String>();
        var before = listeners();
        cache.onChange(told::add);
        var listener = listeners();
        listener.removeAll(before);
        go.countDown();
        assertThrows(KeyInvalidException.class, cache::synced);
        for (var thread : listener) {
            thread.join();
        }
        assertEquals(List.of(), List.copyOf(told));
    }

    private static Set<Thread> listeners() {
        var threads = new HashSet<>(Thread.getAllStackTraces().keySet());
        threads.removeIf(thread -> !thread.getName().equals("prompt-ledger-cache-listener"));
        return threads;
    }

    @Test
    void theLastStateIsServedWhileTheServerIsAway() throws InterruptedException {
        var broke = new CountDownLatch(1);
        var back = new CountDownLatch(1);
        server.on(
                        "WatchPrompts",
                        allAnd(Refusal.of(Code.UNAVAILABLE, "DRAINING").retryAfter(Duration.ofMillis(10))))
                .on(
                        "WatchPrompts",
                        (Runnable) broke::countDown,
                        back,
                        prompt(9, "b", "", 6),
                        promptsHeartbeat(9, false),
                        HANG);
        var cache = ledger.promptCache().synced();
        assertTrue(broke.await(60, TimeUnit.SECONDS));
        assertTrue(cache.staleSince().isPresent());
        assertEquals("b 5", template(cache, "b"));
        back.countDown();
        cache.reached(9, SOON);
        assertEquals("b 6", template(cache, "b"));
        assertEquals(List.of(0L, 7L), cursors());
    }

    @Test
    void whatAnotherLedgerDoesNotHaveIsDropped() throws InterruptedException {
        var listens = new CountDownLatch(1);
        server.on("WatchPrompts", allAnd(Refusal.of(Code.INTERNAL)))
                .on("WatchPrompts", Refusal.of(Code.OUT_OF_RANGE, "REVISION_AHEAD"))
                .on("WatchPrompts", listens, prompt(0, "a", "", 9), promptsSynced(3), HANG);
        var gone = new LinkedBlockingQueue<String>();
        var cache = ledger.promptCache();
        cache.onChange(name -> {
            if (name.equals("b") && !cache.names().contains("b")) {
                gone.add(name);
            }
        });
        listens.countDown();
        assertEquals("b", gone.poll(60, TimeUnit.SECONDS));
        assertEquals("a 9", template(cache, "a"));
        assertEquals(List.of(0L, 7L, 0L), cursors());
    }

    @Test
    void aRefusalEndsTheFeedAndIsTold() {
        server.on("WatchPrompts", allAnd(Refusal.of(Code.UNAUTHENTICATED, "KEY_INVALID")));
        var cache = ledger.promptCache();
        assertThrows(KeyInvalidException.class, () -> cache.reached(100, SOON));
        assertInstanceOf(KeyInvalidException.class, cache.failure().orElseThrow());
        assertEquals("a 1", template(cache, "a"));
        assertTrue(cache.staleSince().isPresent());
        server.on("WatchPrompts", Refusal.of(Code.UNAUTHENTICATED, "KEY_INVALID"));
        var empty = ledger.promptCache();
        assertThrows(KeyInvalidException.class, () -> empty.reached(100, SOON));
    }

    @ParameterizedTest
    @CsvSource({"RESOURCE_EXHAUSTED, TOO_MANY_WATCHERS", "INTERNAL, INTERNAL", "UNIMPLEMENTED, ''"})
    void whatPassesIsWaitedFor(Code code, String reason) {
        server.on("WatchPrompts", Refusal.of(code, reason).retryAfter(Duration.ofMillis(10)))
                .on("WatchPrompts", allAnd(HANG));
        assertEquals(List.of("a", "b"), ledger.promptCache().synced().names());
    }

    @Test
    void aCacheThatIsBehindIsStale() {
        server.on("WatchPrompts", allAnd(promptsHeartbeat(7, true), prompt(9, "b", "", 6), HANG));
        var cache = ledger.promptCache().reached(9, SOON);
        assertEquals("b 6", template(cache, "b"));
        assertTrue(cache.staleSince().isPresent());
    }

    @Test
    void waitingEndsInTime() {
        server.on("WatchPrompts", HANG);
        var cache = ledger.promptCache();
        assertThrows(DeadlineExceededException.class, () -> cache.synced(Duration.ofMillis(100)));
    }

    @Test
    void closingTheClientEndsItsCaches() {
        server.on("WatchPrompts", allAnd(HANG));
        var cache = ledger.promptCache().synced();
        ledger.close();
        assertThrows(ClientClosedException.class, () -> cache.reached(100, SOON));
        cache.close();
        assertEquals("a 1", template(cache, "a"));
    }

    @Test
    void aCacheStartsFromTheFileOfItsLastRun(@TempDir Path folder) throws IOException {
        var file = folder.resolve("kept/prompts");
        var gate = new CountDownLatch(1);
        server.on("WatchPrompts", allAnd(HANG))
                .on("WatchPrompts", gate, prompt(0, "b", "", 6), promptsSynced(8), HANG)
                .on("WatchPrompts", HANG);
        try (var first = ledger.promptCache(options -> options.file(file))) {
            first.synced();
        }
        try (var second = ledger.promptCache(options -> options.file(file))) {
            assertEquals("a 2", second.get("a", "staging").orElseThrow().template(), "at once, without the server");
            assertTrue(second.staleSince().isPresent());
            gate.countDown();
            second.reached(8, SOON);
            assertEquals(List.of("b"), second.names());
            assertEquals("b 6", template(second, "b"));
        }
        assertEquals(List.of(0L, 0L), cursors(), "nothing of the file outlives `synced`");
        try (var other = ledger.promptCache(options -> options.names("a").file(file))) {
            assertThrows(NotSyncedException.class, () -> other.get("a"), "it is of another selection");
        }
        assertTrue(log.has("of another ledger, project, key or selection"));
        Files.writeString(file, "{}");
        try (var damaged = ledger.promptCache(options -> options.file(file))) {
            assertThrows(NotSyncedException.class, () -> damaged.get("b"));
        }
        assertTrue(log.has("it is damaged"));
    }

    @Test
    void aFileIsOfOneKeyAndOfNamesInAnyOrder(@TempDir Path folder) throws IOException {
        var file = folder.resolve("prompts");
        server.on("WatchPrompts", allAnd(HANG)).on("WatchPrompts", HANG);
        try (var first = ledger.promptCache(options -> options.names("a", "b").file(file))) {
            first.synced();
        }
        try (var second =
                ledger.promptCache(options -> options.names("b", "a", "b").file(file))) {
            assertEquals("a 1", template(second, "a"));
        }
        // A key may be of another project, without naming it.
        var key = "pl_of-another-project";
        try (var other = PromptLedger.connect(
                        options -> options.server(server.url()).apiKey(key).logger(log));
                var cache = other.promptCache(options -> options.names("a", "b").file(file))) {
            assertThrows(NotSyncedException.class, () -> cache.get("a"));
        }
        assertTrue(log.has("of another ledger, project, key or selection"));
    }

    @Test
    void theKeyIsNotInAFile(@TempDir Path folder) throws IOException {
        var file = folder.resolve("prompts");
        server.on("WatchPrompts", allAnd(HANG));
        try (var keyed = server.connect();
                var cache = keyed.promptCache(options -> options.file(file))) {
            cache.synced();
        }
        assertFalse(Files.readString(file, StandardCharsets.ISO_8859_1).contains(ScriptedServer.KEY));
    }

    @Test
    void aFileThatCannotBeWrittenIsDoneWithout(@TempDir Path folder) throws IOException {
        var parent = Files.writeString(folder.resolve("file"), "no folder");
        server.on("WatchPrompts", allAnd(HANG));
        try (var cache = ledger.promptCache(options -> options.file(parent.resolve("prompts")))) {
            assertEquals("a 1", template(cache.synced(), "a"));
        }
        assertTrue(log.has("they cannot be written"));
    }
}
