package dev.promptledger.client.internal.steps;

import static dev.promptledger.client.internal.steps.RetryTest.error;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.promptledger.client.errors.GaveUpException;
import dev.promptledger.client.errors.NotResumableException;
import dev.promptledger.client.errors.PromptNotFoundException;
import dev.promptledger.client.errors.UnreadableException;
import dev.promptledger.client.internal.steps.Failure.Broken;
import dev.promptledger.client.internal.steps.Failure.Refused;
import io.grpc.Status.Code;
import java.time.Duration;
import java.util.List;
import java.util.Queue;
import org.junit.jupiter.api.Test;

class MachineTest {
    private static final long PATIENCE = Duration.ofSeconds(60).toNanos();

    private static Moment at(long seconds) {
        return new Moment(Duration.ofSeconds(seconds).toNanos(), 1);
    }

    private static Next after(double seconds) {
        return new Next.Reopen(Math.round(seconds * 1e9));
    }

    /** Takes each message as it says itself. */
    private record Scripted(boolean resumes, boolean recovers) implements StreamReader<Taken, Taken> {
        @Override
        public StreamCall<?, ?, Taken> ask() {
            throw new UnsupportedOperationException();
        }

        @Override
        public Taken take(Taken message, Queue<Taken> updates) {
            updates.add(message);
            return message;
        }

        @Override
        public boolean broke(Failure failure, Queue<Taken> updates) {
            return recovers;
        }
    }

    private static Machine<Taken, Taken> machine() {
        return new Machine<>(new Scripted(true, false), PATIENCE);
    }

    @Test
    void eachMessageSaysWhatToDoNext() {
        var machine = machine();
        machine.opened();
        assertEquals(Next.READ, machine.took(Taken.NOTHING, at(0)));
        assertEquals(Next.READ, machine.took(Taken.NEWS, at(0)));
        assertEquals(after(0.1), machine.took(Taken.GAP, at(0)));
        assertEquals(Next.OVER, machine.took(Taken.OVER, at(0)));
        assertThrows(UnreadableException.class, () -> machine.took(Taken.UNREADABLE, at(0)));
        assertEquals(
                List.of(Taken.NOTHING, Taken.NEWS, Taken.GAP, Taken.OVER, Taken.UNREADABLE),
                List.copyOf(machine.updates()));
    }

    @Test
    void newsRenewThePatienceAndASnapshotAloneDoesNot() {
        var machine = machine();
        for (var second : new long[] {0, 30}) {
            machine.opened();
            machine.took(Taken.NOTHING, at(second));
            machine.failed(Broken.CUT, at(second));
        }
        machine.took(Taken.NEWS, at(50));
        machine.failed(Broken.CUT, at(61));
        machine.took(Taken.NOTHING, at(62));
        assertThrows(GaveUpException.class, () -> machine.failed(Broken.CUT, at(121)));
    }

    @Test
    void streamsThatReachTheirAgeWithNothingToTellAreNoFailures() {
        var machine = machine();
        var aged = new Refused(error(Code.UNAVAILABLE, "DRAINING", Duration.ofSeconds(1)));
        for (var second = 0; second < 1_000; second++) {
            machine.opened();
            machine.took(Taken.NOTHING, at(second));
            machine.failed(aged, at(second));
        }
        // But one that has not begun is.
        machine.failed(aged, at(1_000));
        assertThrows(GaveUpException.class, () -> machine.failed(aged, at(1_060)));
    }

    @Test
    void whatCannotBeGoneOnWithEndsAtTheFirstFailureUnlessNothingHasBegun() {
        var machine = new Machine<>(new Scripted(false, false), PATIENCE);
        var draining = new Refused(error(Code.UNAVAILABLE, "DRAINING", Duration.ofSeconds(1)));
        assertEquals(after(1.2), machine.failed(draining, at(0)));
        assertThrows(NotResumableException.class, () -> machine.failed(Broken.CUT, at(0)));
        machine.took(Taken.NOTHING, at(0));
        assertThrows(NotResumableException.class, () -> machine.failed(draining, at(0)));
    }

    @Test
    void aReaderMayGoOnWhereTheRulesForStreamsSayNo() {
        var refused = new Refused(error(Code.NOT_FOUND, "PROMPT_NOT_FOUND", Duration.ofSeconds(2)));
        var recovering = new Machine<>(new Scripted(true, true), PATIENCE);
        assertEquals(after(2.4), recovering.failed(refused, at(0)));
        assertThrows(PromptNotFoundException.class, () -> machine().failed(refused, at(0)));
        assertEquals(after(0.1), new Machine<>(new Scripted(true, true), PATIENCE).failed(Broken.CUT, at(0)));
    }
}
