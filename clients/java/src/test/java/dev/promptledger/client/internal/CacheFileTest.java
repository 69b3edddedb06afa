package dev.promptledger.client.internal;

import static dev.promptledger.client.scripted.Events.prompt;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.promptledger.v1.PromptChange;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CacheFileTest {
    private static final List<String> SOURCE = List.of("http://localhost", "shop", "", "a");
    private static final Instant AT = Instant.parse("2026-01-02T03:04:05.000000006Z");
    private static final List<PromptChange> STATES =
            List.of(prompt(0, "a", "", 1, 2).getChange(), prompt(0, "b", "").getChange());

    @TempDir
    Path folder;

    private Path path() {
        return folder.resolve("kept/prompts");
    }

    private void isRefused(CacheFile file, String why) {
        var error = assertThrows(IOException.class, file::read);
        assertTrue(error.getMessage().contains(why), error.getMessage());
    }

    @Test
    void whatIsWrittenIsRead() throws IOException {
        var file = new CacheFile(path(), SOURCE);
        assertEquals(Optional.empty(), file.read());
        file.write(AT, STATES);
        assertEquals(Optional.of(new CacheFile.Kept(AT, STATES)), file.read());
        file.write(AT, List.of());
        assertEquals(Optional.of(new CacheFile.Kept(AT, List.of())), file.read());
        assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(path())));
        try (var files = Files.list(path().getParent())) {
            assertEquals(1, files.count(), "nothing is left beside it");
        }
    }

    @Test
    void whatIsOfAnotherSourceIsRefused() throws IOException {
        new CacheFile(path(), SOURCE).write(AT, STATES);
        for (var other :
                List.of(List.of("http://localhost", "shop", "", "a", "b"), List.of("http://localhost", "shop", "a"))) {
            isRefused(new CacheFile(path(), other), "of another ledger");
        }
    }

    @Test
    void whatIsDamagedIsRefused() throws IOException {
        var file = new CacheFile(path(), SOURCE);
        file.write(AT, STATES);
        var whole = Files.readAllBytes(path());
        for (var at : new int[] {0, 30, 70, whole.length - 1}) {
            var damaged = whole.clone();
            damaged[at] ^= 1;
            Files.write(path(), damaged);
            isRefused(file, "damaged");
        }
        for (var length : new int[] {0, 10, 40, whole.length - 1}) {
            Files.write(path(), Arrays.copyOf(whole, length));
            isRefused(file, "damaged");
        }
    }

    @Test
    void whatAnotherUserMayHaveWrittenIsNotReadAndIsReplaced() throws IOException, InterruptedException {
        var file = new CacheFile(path(), SOURCE);
        var changes = new ArrayList<List<String>>(
                List.of(List.of("chmod", "602"), List.of("chmod", "620"), List.of("mkfifo", "-m", "600")));
        if (ProcessHandle.current().info().user().orElse("").equals("root")) {
            changes.add(List.of("chown", "12345"));
        }
        for (var change : changes) {
            file.write(AT, STATES);
            if (change.get(0).equals("mkfifo")) {
                Files.delete(path());
            }
            var command = new ArrayList<>(change);
            command.add(path().toString());
            assertEquals(0, new ProcessBuilder(command).start().waitFor());
            isRefused(file, "belongs to or can be written by another user");
        }
        file.write(AT, STATES);
        assertEquals(Optional.of(new CacheFile.Kept(AT, STATES)), file.read());
    }

    @Test
    void whatIsTooLargeIsNeitherWrittenNorRead() throws IOException {
        var file = new CacheFile(path(), SOURCE);
        file.write(AT, STATES);
        var size = Files.size(path());
        new CacheFile(path(), SOURCE, size).write(AT, STATES);
        var bounded = new CacheFile(path(), SOURCE, size - 1);
        isRefused(bounded, "larger than any");
        assertThrows(IOException.class, () -> bounded.write(AT, STATES));
        assertEquals(size, Files.size(path()), "the one before stays");
        try (var files = Files.list(path().getParent())) {
            assertEquals(1, files.count(), "nothing is left beside it");
        }
    }
}
