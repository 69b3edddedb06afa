package dev.promptledger.client.testing;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;

/** Finds the program of the server. */
final class Binaries {
    private Binaries() {}

    /** {@code named}: null where it is to be found. */
    static Path find(Path named) {
        return find(named, System.getenv(), Path.of("").toAbsolutePath());
    }

    static Path find(Path named, Map<String, String> environment, Path here) {
        var variable = environment.getOrDefault("PROMPT_LEDGER_BIN", "");
        if (named != null || !variable.isEmpty()) {
            var path = named != null ? named : Path.of(variable);
            if (!Files.isRegularFile(path)) {
                throw new IllegalStateException("no prompt-ledger: " + path + " is no file");
            }
            return path.toAbsolutePath();
        }
        return candidates(environment, here).stream()
                .filter(Files::isRegularFile)
                .findFirst()
                .orElseThrow(() -> new IllegalStateException(
                        "no prompt-ledger: it is not in the PATH; install it, or name it" + " by PROMPT_LEDGER_BIN"));
    }

    private static List<Path> candidates(Map<String, String> environment, Path here) {
        var candidates = new ArrayList<Path>();
        for (var folder : environment.getOrDefault("PATH", "").split(File.pathSeparator)) {
            candidates.add(Path.of(folder, "prompt-ledger"));
        }
        var targets = new ArrayList<Path>();
        if (environment.containsKey("CARGO_TARGET_DIR")) {
            targets.add(Path.of(environment.get("CARGO_TARGET_DIR")));
        }
        for (var folder = here; folder != null; folder = folder.getParent()) {
            if (Files.isRegularFile(folder.resolve("Cargo.toml"))) {
                targets.add(folder.resolve("target"));
            }
        }
        for (var target : targets) {
            candidates.add(target.resolve("release/prompt-ledger"));
            candidates.add(target.resolve("debug/prompt-ledger"));
        }
        return candidates;
    }

    /** Removes a folder and all that is in it. */
    static void delete(Path folder) {
        try (var paths = Files.walk(folder)) {
            for (var path : (Iterable<Path>) paths.sorted(Comparator.reverseOrder())::iterator) {
                Files.deleteIfExists(path);
            }
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }
}
