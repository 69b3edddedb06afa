package dev.promptledger.client.internal.steps;

import static dev.promptledger.client.scripted.Events.ID;
import static dev.promptledger.client.scripted.Events.end;
import static dev.promptledger.client.scripted.Events.heartbeat;
import static dev.promptledger.client.scripted.Events.reused;
import static dev.promptledger.client.scripted.Events.running;
import static dev.promptledger.client.scripted.Events.snapshot;
import static dev.promptledger.client.scripted.Events.text;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.promptledger.client.Update;
import dev.promptledger.client.Update.Restarted;
import dev.promptledger.v1.ExecutionEvent;
import dev.promptledger.v1.ExecutionSpec;
import dev.promptledger.v1.WatchExecutionRequest;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class FollowerTest {
    /** What a follower makes of events. */
    private static final class Followed {
        private final Follower follower;
        private final Deque<Update> updates = new ArrayDeque<>();
        private Taken taken = Taken.NOTHING;

        private Followed(long cursor, ExecutionEvent... events) {
            follower = Follower.watching(ID, cursor);
            for (var event : events) {
                taken = follower.take(event, updates);
            }
        }

        private long cursor() {
            return ((WatchExecutionRequest) follower.ask().request()).getAfterSequence();
        }

        private List<String> texts() {
            return updates.stream()
                    .filter(Update.Text.class::isInstance)
                    .map(update -> ((Update.Text) update).text())
                    .toList();
        }

        private boolean restarted() {
            return updates.stream().anyMatch(Restarted.class::isInstance);
        }
    }

    private static ExecutionEvent unknown(long sequence) {
        return ExecutionEvent.newBuilder()
                .setExecutionId(ID)
                .setSequence(sequence)
                .build();
    }

    static Stream<Arguments> cursors() {
        return Stream.of(
                arguments(0, List.of(snapshot(9))),
                arguments(1, List.of(running(1))),
                arguments(2, List.of(running(1), unknown(2))),
                arguments(1, List.of(running(1), unknown(0))),
                arguments(5, List.of(heartbeat(5))),
                arguments(5, List.of(heartbeat(5), heartbeat(3))),
                arguments(0, List.of(text(1, 0, "x"))));
    }

    @ParameterizedTest
    @MethodSource("cursors")
    void theCursorMovesWithEveryKindButASnapshot(long cursor, List<ExecutionEvent> events) {
        assertEquals(cursor, new Followed(0, events.toArray(ExecutionEvent[]::new)).cursor());
    }

    @Test
    void aGapBreaksTheStream() {
        assertEquals(Taken.GAP, new Followed(0, running(2)).taken);
        assertEquals(Taken.GAP, new Followed(0, text(1, 3, "x")).taken);
        assertEquals(Taken.NEWS, new Followed(2, running(3)).taken);
        var again = new Followed(2, running(2));
        assertEquals(Taken.NOTHING, again.taken);
        assertTrue(again.updates.isEmpty());
    }

    @Test
    void textThatComesAgainIsPassedOnOnce() {
        var followed = new Followed(
                0, text(1, 0, "häl"), text(1, 0, "häll"), text(1, 5, "o"), text(1, 2, "x"), text(1, 0, ""));
        assertEquals(List.of("häl", "l", "o"), followed.texts());
        // Within a character: the texts differ.
        assertEquals(Taken.GAP, new Followed(0, text(1, 0, "a"), text(1, 0, "ä")).taken);
    }

    @Test
    void anotherAttemptRestartsTheText() {
        var followed = new Followed(0, text(1, 0, "one"), text(2, 0, "two"), text(1, 3, "late"));
        assertEquals(List.of("one", "two"), followed.texts());
        assertTrue(followed.updates.contains(new Restarted(2)));
        assertFalse(new Followed(0, text(2, 0, "two")).restarted(), "nothing was given before");
    }

    static Stream<Arguments> ends() {
        return Stream.of(
                arguments("", "all of it", 1, false, List.of("all of it")),
                arguments("all ", "all of it", 1, false, List.of("all ", "of it")),
                arguments("all of it", "all of it", 1, false, List.of("all of it")),
                arguments("other", "all of it", 1, true, List.of("other", "all of it")),
                arguments("all of it, and more", "all of it", 1, true, List.of("all of it, and more", "all of it")),
                arguments("all ", "all of it", 2, true, List.of("all ", "all of it")),
                arguments("part", "", 1, false, List.of("part")));
    }

    @ParameterizedTest
    @MethodSource("ends")
    void atTheEndTheTextIsTheResponse(
            String before, String response, int attempt, boolean restarts, List<String> texts) {
        var events = new ArrayList<ExecutionEvent>();
        if (!before.isEmpty()) {
            events.add(text(1, 0, before));
        }
        events.add(end(1, response, attempt));
        var followed = new Followed(0, events.toArray(ExecutionEvent[]::new));
        assertEquals(Taken.OVER, followed.taken);
        assertEquals(texts, followed.texts());
        assertEquals(restarts, followed.restarted());
        assertInstanceOf(Update.Ended.class, followed.updates.peekLast());
    }

    @Test
    void anEndThatCameBeforeIsAnEnd() {
        var followed = new Followed(3, end(3, "hi"));
        assertEquals(Taken.OVER, followed.taken);
        assertEquals(List.of("hi"), followed.texts());
        assertEquals(2, followed.updates.size(), "the change was told before");
    }

    @Test
    void anEndThatCannotBeReadIsNone() {
        assertEquals(
                Taken.UNREADABLE,
                new Followed(0, running(1).toBuilder().setTerminal(true).build()).taken);
        assertEquals(
                Taken.UNREADABLE,
                new Followed(0, unknown(1).toBuilder().setTerminal(true).build()).taken);
    }

    @Test
    void anExecutionThatTheKeyFoundIsToldOnce() {
        var followed = new Followed(0, reused(1), reused(1), end(1, "hi"));
        assertEquals(new Update.Joined(ID), followed.updates.peekFirst());
        assertTrue(((Update.Ended) followed.updates.getLast()).execution().reused());
        assertEquals(4, followed.updates.size());
    }

    @Test
    void whatItAsksFor() {
        var spec = ExecutionSpec.newBuilder().setPromptName("greet").build();
        var keyless = Follower.executing(spec, false);
        assertEquals("StreamExecution", keyless.ask().method().getBareMethodName());
        assertFalse(keyless.resumes());
        assertEquals(
                "StreamCodePrompt",
                Follower.executing(spec, true).ask().method().getBareMethodName());
        var keyed = Follower.executing(spec.toBuilder().setIdempotencyKey("k").build(), false);
        assertTrue(keyed.resumes());
        keyed.take(running(1), new ArrayDeque<>());
        var request = WatchExecutionRequest.newBuilder()
                .setExecutionId(ID)
                .setAfterSequence(1)
                .build();
        assertEquals(request, keyed.ask().request());
    }
}
