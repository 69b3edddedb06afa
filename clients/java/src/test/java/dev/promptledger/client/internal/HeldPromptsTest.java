package dev.promptledger.client.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.promptledger.client.errors.NotSyncedException;
import dev.promptledger.client.internal.steps.PromptUpdate;
import dev.promptledger.client.scripted.Recorder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HeldPromptsTest {
    private HeldPrompts held;

    @Test
    void itIsClosedOnceItsFileWasWritten(@TempDir Path folder) throws IOException {
        var noFolder = Files.writeString(folder.resolve("file"), "no folder");
        var closed = new ArrayList<Boolean>();
        // Each attempt to write the file is told.
        var log = new Recorder(line -> {
            if (line.contains("they cannot be written")) {
                closed.add(held.isClosed());
            }
        });
        var file = new CacheFile(noFolder.resolve("prompts"), List.of("source"));
        held = new HeldPrompts(file, log, Clock.systemUTC());
        held.apply(new PromptUpdate.Current());
        held.closed();
        assertEquals(List.of(false, false), closed);
        assertTrue(held.isClosed());
    }

    @Test
    void itIsClosedAlsoWhereItsFileMakesTheWriterFail(@TempDir Path folder) {
        var log = new Recorder(line -> {
            throw new IllegalStateException("a logger of no use");
        });
        var file = new CacheFile(folder.resolve("prompts"), List.of("source"), 0);
        held = new HeldPrompts(file, log, Clock.systemUTC());
        assertThrows(IllegalStateException.class, () -> held.apply(new PromptUpdate.Current()));
        assertThrows(IllegalStateException.class, held::closed);
        assertTrue(held.isClosed());
    }

    @Test
    void whatIsSyncedCanBeRead() throws Exception {
        // Between two writes of a thread another one seldom reads: as often as a second allows.
        var all = Stream.generate(() -> new HeldPrompts(null, new Recorder(), Clock.systemUTC()))
                .limit(50_000)
                .toList();
        assertThrows(NotSyncedException.class, all.get(0)::filled);
        var looksAt = new AtomicInteger(-1);
        var isOver = new AtomicBoolean();
        var reading = new FutureTask<>(() -> {
            for (var number = 0; number < all.size(); number++) {
                looksAt.set(number);
                while (!all.get(number).isSynced()) {
                    if (isOver.get()) {
                        return number;
                    }
                }
                all.get(number).filled();
            }
            return all.size();
        });
        new Thread(reading).start();
        var ends = System.nanoTime() + TimeUnit.SECONDS.toNanos(1);
        for (var number = 0; number < all.size() && System.nanoTime() < ends; number++) {
            while (looksAt.get() < number && !reading.isDone()) {
                Thread.onSpinWait();
            }
            all.get(number).apply(new PromptUpdate.Current());
        }
        isOver.set(true);
        assertTrue(reading.get(60, TimeUnit.SECONDS) > 0);
    }
}
