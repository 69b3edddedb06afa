package dev.promptledger.client.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.promptledger.client.errors.LedgerException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DevServerTest {
    private static Path script(Path folder, String body) throws IOException {
        var script = Files.writeString(folder.resolve("prompt-ledger"), "#!/bin/sh\n" + body);
        return Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwx------"));
    }

    @Test
    void aServerServesUntilItIsClosed() {
        var server = DevServer.start();
        try (var ledger = server.connect();
                var hasty = server.connect(options -> options.timeout(Duration.ofSeconds(1)))) {
            ledger.prompts().put("greet", "Hi", put -> put.setActive(true));
            assertEquals("echo", ledger.run("greet", Map.of()).raw().getModel().getModelName());
            assertTrue(server.http().startsWith("http://"));
            assertTrue(server.metrics().endsWith("/metrics"));
            server.close();
            assertThrows(LedgerException.class, () -> hasty.prompts().get("greet"));
        }
    }

    @Test
    void whatDoesNotStartTellsItsLog(@TempDir Path folder) throws IOException {
        var silent = script(folder, "echo 'no place to write' >&2; exit 3");
        var error = assertThrows(
                IllegalStateException.class,
                () -> DevServer.start(options -> options.binary(silent).arguments("--verbose")));
        assertTrue(error.getMessage().endsWith("no place to write\n"), error.getMessage());
        var refused = assertThrows(
                IllegalStateException.class,
                () -> DevServer.start(options -> options.environment("DEFAULT_MODEL", "nonsense")));
        assertTrue(refused.getMessage().contains("DEFAULT_MODEL: `nonsense`"), refused.getMessage());
        var other = script(folder, "echo '{\"grpc\": \"http://127.0.0.1:1\"}'; cat > /dev/null");
        assertThrows(IllegalStateException.class, () -> DevServer.start(options -> options.binary(other)));
    }

    @Test
    void theProgramIsFound(@TempDir Path folder) throws IOException {
        var program = script(folder, "");
        assertEquals(program, Binaries.find(program, Map.of(), folder));
        assertEquals(program, Binaries.find(null, Map.of("PROMPT_LEDGER_BIN", program.toString()), folder));
        assertEquals(program, Binaries.find(null, Map.of("PATH", "/nowhere:" + folder), folder));
        var missing = folder.resolve("missing");
        assertThrows(IllegalStateException.class, () -> Binaries.find(missing, Map.of(), folder));
        assertThrows(IllegalStateException.class, () -> Binaries.find(null, Map.of("PATH", "/nowhere"), folder));
        var target = Files.createDirectories(folder.resolve("workspace/target/debug"));
        Files.createFile(folder.resolve("workspace/Cargo.toml"));
        var built = script(target, "");
        assertEquals(built, Binaries.find(null, Map.of(), Files.createDirectories(folder.resolve("workspace/a/b"))));
        var cargo =
                Map.of("CARGO_TARGET_DIR", folder.resolve("workspace/target").toString());
        assertEquals(built, Binaries.find(null, cargo, folder));
    }

    @Test
    void aFolderIsRemovedWhole(@TempDir Path folder) throws IOException {
        var inner = Files.createDirectories(folder.resolve("a/b"));
        Files.createFile(inner.resolve("c"));
        Binaries.delete(folder.resolve("a"));
        assertFalse(Files.exists(folder.resolve("a")));
    }
}
