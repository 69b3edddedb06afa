package dev.promptledger.client.testing;

import dev.promptledger.client.ConnectOptions;
import dev.promptledger.client.PromptLedger;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.regex.Pattern;

/**
 * A ledger of a test's own: {@code prompt-ledger dev} on free ports of this machine, with {@code echo} as its model, in a folder that
 * is removed with it. It ends with this process at the latest.
 */
public final class DevServer implements AutoCloseable {
    private static final Duration START = Duration.ofSeconds(60);
    private static final Duration END = Duration.ofSeconds(15);
    /** Of this process' environment, what the server's system needs. Nothing of it configures a ledger. */
    private static final Set<String> INHERITED = Set.of(
            "PATH", "HOME", "TMPDIR", "TEMP", "SYSTEMROOT", "LD_LIBRARY_PATH", "RUST_BACKTRACE", "LLVM_PROFILE_FILE");

    private static final int SHOWN_OF_LOG = 4_000;

    private final Process process;
    private final Path folder;
    private final Map<String, String> ready;

    private DevServer(Process process, Path folder, Map<String, String> ready) {
        this.process = process;
        this.folder = folder;
        this.ready = ready;
    }

    /** Starts a server, and returns once it serves. */
    public static DevServer start() {
        return start(options -> {});
    }

    /**
     * Starts a server, and returns once it serves.
     *
     * @throws IllegalStateException where there is no such program, or it does not start; with the end of its log
     */
    public static DevServer start(Consumer<? super Options> options) {
        var given = new Options();
        options.accept(given);
        var binary = Binaries.find(given.binary);
        try {
            return start(binary, given, Files.createTempDirectory("prompt-ledger-"));
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }

    private static DevServer start(Path binary, Options options, Path folder) throws IOException {
        var data = folder.resolve("data").toString();
        var command = new ArrayList<>(
                List.of(binary.toString(), "dev", "--ready-json", "--exit-with-stdin", "--data-dir", data));
        command.addAll(options.arguments);
        var log = folder.resolve("log");
        var builder = new ProcessBuilder(command).directory(folder.toFile()).redirectError(log.toFile());
        var environment = builder.environment();
        environment.keySet().retainAll(INHERITED);
        environment.put("DEFAULT_MODEL", "echo/echo");
        environment.putAll(options.environment);
        var process = builder.start();
        var line = firstLine(process);
        var ready = line == null ? Map.<String, String>of() : texts(line);
        var server = new DevServer(process, folder, ready);
        if (!ready.keySet().containsAll(Set.of("grpc", "http", "metrics", "key"))) {
            var said = Files.readString(log, StandardCharsets.ISO_8859_1);
            server.close();
            throw new IllegalStateException(
                    "the server did not start:\n" + said.substring(Math.max(0, said.length() - SHOWN_OF_LOG)));
        }
        return server;
    }

    /** Null where it ends, or says nothing in time. */
    private static String firstLine(Process process) throws IOException {
        var late = CompletableFuture.runAsync(
                process::destroyForcibly, CompletableFuture.delayedExecutor(START.toSeconds(), TimeUnit.SECONDS));
        try {
            // The server says nothing more: the reader is closed with the process.
            return new BufferedReader(process.inputReader(StandardCharsets.UTF_8)).readLine();
        } finally {
            late.cancel(false);
        }
    }

    /** The texts of a flat object of JSON, none of which holds an escape. */
    private static Map<String, String> texts(String json) {
        var texts = new HashMap<String, String>();
        var pairs = Pattern.compile("\"([^\"\\\\]*)\"\\s*:\\s*\"([^\"\\\\]*)\"").matcher(json);
        while (pairs.find()) {
            texts.put(pairs.group(1), pairs.group(2));
        }
        return texts;
    }

    /** Where it serves gRPC: {@code http://HOST:PORT}. */
    public String server() {
        return ready.get("grpc");
    }

    /** Where it serves HTTP. */
    public String http() {
        return ready.get("http");
    }

    /** Where it serves its metrics. */
    public String metrics() {
        return ready.get("metrics");
    }

    public String apiKey() {
        return ready.get("key");
    }

    /** A client of it. */
    public PromptLedger connect() {
        return connect(options -> {});
    }

    /** A client of it. */
    public PromptLedger connect(Consumer<? super ConnectOptions> options) {
        return PromptLedger.connect(given -> {
            given.server(server()).apiKey(apiKey());
            options.accept(given);
        });
    }

    /** Ends it, and removes what it kept. */
    @Override
    public void close() {
        try {
            process.getOutputStream().close();
            if (!process.waitFor(END.toSeconds(), TimeUnit.SECONDS)) {
                process.destroyForcibly().waitFor();
            }
        } catch (InterruptedException interrupted) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        } catch (IOException broken) {
            process.destroyForcibly();
        }
        Binaries.delete(folder);
    }

    @Override
    public String toString() {
        return "DevServer[" + server() + "]";
    }

    /** How to start a server. */
    public static final class Options {
        private Path binary;
        private final Map<String, String> environment = new HashMap<>();
        private List<String> arguments = List.of();

        private Options() {}

        /**
         * The program; else that of the variable {@code PROMPT_LEDGER_BIN}, of the {@code PATH}, or of the {@code target} of a
         * workspace that this is run in.
         */
        public Options binary(Path binary) {
            this.binary = binary;
            return this;
        }

        /** A setting of the server, such as {@code OPENAI_BASE_URL}. */
        public Options environment(String name, String value) {
            environment.put(name, value);
            return this;
        }

        /** Further arguments of {@code prompt-ledger dev}. */
        public Options arguments(String... arguments) {
            this.arguments = Arrays.asList(arguments);
            return this;
        }
    }
}
