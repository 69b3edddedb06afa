package dev.promptledger.client.internal.steps;

import static dev.promptledger.client.scripted.Events.at;
import static dev.promptledger.client.scripted.Events.execution;
import static dev.promptledger.client.scripted.Events.heartbeat;
import static dev.promptledger.client.scripted.Events.running;
import static dev.promptledger.client.scripted.Events.snapshot;
import static dev.promptledger.client.scripted.Events.synced;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.promptledger.client.TailUpdate;
import dev.promptledger.v1.ExecutionEvent;
import dev.promptledger.v1.WatchExecutionsRequest;
import java.util.ArrayDeque;
import org.junit.jupiter.api.Test;

class TailerTest {
    private final Tailer tailer = new Tailer(
            WatchExecutionsRequest.newBuilder().setPromptName("greet").build());
    private final ArrayDeque<TailUpdate> updates = new ArrayDeque<>();

    private Taken take(ExecutionEvent event) {
        return tailer.take(event, updates);
    }

    private WatchExecutionsRequest asked() {
        return (WatchExecutionsRequest) tailer.ask().request();
    }

    @Test
    void whatWasSeenIsDroppedAlsoOutOfOrder() {
        var seen = new SeenExecutions(10);
        assertTrue(seen.through("a", 3));
        assertFalse(seen.through("a", 3));
        assertFalse(seen.one("a", 3));
        assertTrue(seen.one("a", 5));
        assertTrue(seen.one("a", 4));
        assertFalse(seen.one("a", 5));
        assertTrue(seen.one("a", 6));
        assertFalse(seen.through("a", 5));
        assertTrue(seen.through("b", 0), "an execution that is not known is told");
    }

    @Test
    void theOldestExecutionsAreForgotten() {
        var seen = new SeenExecutions(2);
        for (var name : new String[] {"a", "b", "c", "d", "e"}) {
            assertTrue(seen.one(name, 1));
        }
        assertFalse(seen.one("e", 1));
        assertFalse(seen.one("c", 1), "it is among the recent ones again");
        assertTrue(seen.one("a", 1), "it is not known any more");
    }

    @Test
    void sequencesFarApartAreNotAllRemembered() {
        var seen = new SeenExecutions(2);
        for (var sequence = 2; sequence < 1_000; sequence += 2) {
            assertTrue(seen.one("far", sequence));
        }
        assertFalse(seen.one("far", 3), "below the lowest that is remembered, all count as seen");
        assertTrue(seen.one("far", 997));
    }

    @Test
    void sinceMovesOnlyOnAStreamThatIsSyncedAndNeverBack() {
        tailer.begins();
        take(at(running(1), 10));
        assertFalse(asked().hasSince());
        take(synced(30));
        assertEquals(10, asked().getSince().getSeconds());
        take(at(running(2), 20));
        assertEquals(20, asked().getSince().getSeconds());
        take(at(running(3), 15));
        assertEquals(20, asked().getSince().getSeconds());
        tailer.begins();
        take(at(running(4), 40));
        assertEquals(20, asked().getSince().getSeconds());
        assertEquals("greet", asked().getPromptName());
    }

    @Test
    void eachThingIsToldOnce() {
        var found = snapshot(2).toBuilder();
        found.getSnapshotBuilder().setExecution(execution("hi"));
        assertEquals(Taken.NEWS, take(found.build()));
        assertEquals(Taken.NOTHING, take(found.build()));
        assertEquals(Taken.NOTHING, take(running(2)));
        assertEquals(Taken.NEWS, take(synced(1)));
        assertEquals(Taken.NOTHING, take(synced(2)));
        assertEquals(Taken.NEWS, take(heartbeat(1)));
        assertEquals(Taken.NOTHING, take(ExecutionEvent.getDefaultInstance()));
        var ended = running(3).toBuilder();
        ended.getStateChangedBuilder().setExecution(execution("hi"));
        assertEquals(Taken.NEWS, take(ended.build()));
        assertEquals(3, updates.size());
        assertEquals(
                "hi",
                ((TailUpdate.Changed) updates.getLast())
                        .execution()
                        .orElseThrow()
                        .text());
    }
}
