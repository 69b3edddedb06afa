package dev.promptledger.client.internal.steps;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.promptledger.client.Execution;
import dev.promptledger.client.Update;
import dev.promptledger.client.errors.ClientClosedException;
import dev.promptledger.client.internal.Protos;
import dev.promptledger.client.scripted.Events;
import dev.promptledger.v1.ExecutionSpec;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SmallStepsTest {
    @ParameterizedTest
    @CsvSource({"-1, 0, 130", "2, 0, 12", "2, 1, 19", "-1, 3, 645", "1, 5, 411", "1, -3, 11"})
    void theDeadlineOfAnExecutionCoversAllThatItsSpecAllows(long timeout, int retries, long deadline) {
        var spec = ExecutionSpec.newBuilder().setMaxRetries(retries);
        if (timeout >= 0) {
            spec.setTimeout(Protos.duration(Duration.ofSeconds(timeout)));
        }
        assertEquals(Duration.ofSeconds(deadline), Deadlines.of(spec.build()));
    }

    @Test
    void aBufferIsBoundedByMessagesAndBytes() {
        var buffer = new MessageBuffer<String>(3, 10);
        assertTrue(buffer.hasRoom(100), "alone, a single one has room");
        buffer.put("a", 4);
        assertTrue(buffer.hasRoom(6));
        assertFalse(buffer.hasRoom(7));
        buffer.put("b", 1);
        buffer.put("c", 1);
        assertFalse(buffer.hasRoom(0));
        assertEquals("a", buffer.take());
        assertTrue(buffer.hasRoom(8));
        assertEquals("b", buffer.take());
        assertEquals("c", buffer.take());
        assertTrue(buffer.isEmpty());
    }

    @Test
    void shortWaitsDoNotBeginTheSilenceAnew() {
        var second = Duration.ofSeconds(1).toNanos();
        var silence = new Silence(45 * second);
        silence.begins(100 * second);
        for (var at = 100; at < 145; at++) {
            assertEquals((145 - at) * second, silence.left(at * second));
            silence.waited(second);
        }
        assertEquals(0, silence.left(145 * second));
        assertEquals(0, silence.left(200 * second));
        silence.begins(200 * second);
        assertEquals(44 * second, silence.left(201 * second));
        assertEquals(second, silence.left(300 * second), "what came while the process stood still is read first");
        silence.waited(second);
        assertEquals(0, silence.left(300 * second));
    }

    @Test
    void aSilenceWithoutALimitHasNoEnd() {
        var silence = new Silence(Long.MAX_VALUE);
        silence.begins(-5);
        assertEquals(Long.MAX_VALUE - 10, silence.left(5));
    }

    @Test
    void looksWithoutWaitingCountForTheSilence() {
        var silence = new Silence(500);
        silence.begins(0);
        assertEquals(500, silence.left(1_000));
        silence.waited(0);
        assertEquals(500, silence.left(0));
        assertEquals(0, silence.left(1_000));
    }

    @Test
    void theTextThatWasReadBeginsAnewWithAnotherAttempt() {
        var read = new ExecutionText("");
        read.take(new Update.Text(1, 0, "one "));
        read.take(new Update.Text(1, 4, "two"));
        assertEquals("one two", read.text());
        read.take(new Update.Restarted(2));
        read.take(new Update.Joined("e1"));
        assertEquals("", read.text());
        assertEquals("e1", read.executionId());
        assertThrows(ClientClosedException.class, read::ended);
        var execution = new Execution(Events.execution("hi"), false);
        read.take(new Update.Ended(execution));
        assertTrue(read.hasEnded());
        assertEquals(execution, read.ended());
        assertEquals(Events.ID, read.executionId());
    }
}
