package dev.promptledger.client;

import static dev.promptledger.client.scripted.Events.ID;
import static dev.promptledger.client.scripted.Events.end;
import static dev.promptledger.client.scripted.Events.snapshot;
import static dev.promptledger.client.scripted.Events.watched;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.promptledger.client.errors.DeadlineExceededException;
import dev.promptledger.client.scripted.ScriptedServer;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Streams that say nothing, read by waits that are shorter than the silence that a client bears. */
class WatchSilenceTest {
    private final ScriptedServer server = new ScriptedServer();

    @AfterEach
    void close() {
        server.close();
    }

    @ParameterizedTest
    @ValueSource(longs = {50, 0})
    void aSilentStreamIsLeftHoweverShortEachWaitIs(long timeout) throws InterruptedException {
        server.on("WatchExecution", watched(snapshot(1)), ScriptedServer.HANG)
                .on("WatchExecution", watched(snapshot(1)), watched(end(1, "hi")));
        try (var ledger =
                PromptLedger.connect(options -> options.server(server.url()).silence(Duration.ofMillis(300)))) {
            var result = byShortWaits(ledger.watch(ID), Duration.ofMillis(timeout));
            assertEquals("hi", result.text());
            assertTrue(server.wasHungUp());
        }
    }

    private static Execution byShortWaits(Updates updates, Duration timeout) throws InterruptedException {
        var began = System.nanoTime();
        while (true) {
            try {
                return updates.result(timeout);
            } catch (DeadlineExceededException late) {
                assertTrue(System.nanoTime() - began < Duration.ofSeconds(60).toNanos(), "it was never left");
                Thread.sleep(10);
            }
        }
    }
}
