package dev.promptledger.client.conformance;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.promptledger.client.Handle;
import dev.promptledger.client.PromptCache;
import dev.promptledger.client.PromptLedger;
import dev.promptledger.client.StateChange;
import dev.promptledger.client.Tail;
import dev.promptledger.client.Update;
import dev.promptledger.client.Updates;
import dev.promptledger.client.errors.GaveUpException;
import dev.promptledger.client.errors.InvalidOptionsException;
import dev.promptledger.client.errors.LedgerException;
import dev.promptledger.client.errors.NotSyncedException;
import dev.promptledger.v1.Execution;
import dev.promptledger.v1.ExecutionEvent;
import dev.promptledger.v1.ExecutionServiceGrpc;
import dev.promptledger.v1.ExecutionStateChanged;
import dev.promptledger.v1.GetExecutionRequest;
import dev.promptledger.v1.WatchExecutionResponse;
import io.grpc.CallOptions;
import io.grpc.ConnectivityState;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/**
 * The driver of the conformance suite: does what a scenario says, and prints what its user saw. {@code
 * clients/conformance/README.md} is its protocol.
 */
public final class Driver {
    private static final Gson GSON =
            new GsonBuilder().serializeNulls().disableHtmlEscaping().create();
    /** How long {@code cache.until} and {@code cache.stale} wait, and how often they look. */
    private static final Duration UNTIL = Duration.ofSeconds(60);

    private static final Duration OFTEN = Duration.ofMillis(5);

    private final PromptLedger ledger;
    private final BufferedReader in;
    private final PrintStream out;
    private final Map<String, Object> begun = new HashMap<>();
    private int step;

    private Driver(PromptLedger ledger, BufferedReader in, PrintStream out) {
        this.ledger = ledger;
        this.in = in;
        this.out = out;
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        var scenario = JsonParser.parseString(in.readLine()).getAsJsonObject();
        var options = scenario.has("options") ? scenario.getAsJsonObject("options") : new JsonObject();
        try (var ledger = PromptLedger.connect(given -> Options.connect(given, options))) {
            warmUp(ledger);
            var driver = new Driver(ledger, in, out);
            for (var each : scenario.getAsJsonArray("steps")) {
                driver.perform(each.getAsJsonObject());
                driver.step++;
            }
        } catch (InvalidOptionsException refused) {
            out.println(GSON.toJson(Seen.error(refused)));
        }
        // Threads of a cache that is still open are not waited for.
        System.exit(0);
    }

    /**
     * Java loads a thousand classes with the first call of a process. Scenarios allow for as little as 0.3 s, and are not about that:
     * a call and a watch find no server, an event is read, and the connection of the others is made beforehand, with a call of a
     * method that no server has.
     */
    private static void warmUp(PromptLedger ledger) throws InterruptedException, IOException {
        try (var nowhere = PromptLedger.connect(
                options -> options.server("http://127.0.0.1:9").patience(Duration.ofMillis(1)))) {
            assertRefused(() -> nowhere.raw().executions().getExecution(GetExecutionRequest.getDefaultInstance()));
            assertRefused(() -> nowhere.watch("e1").hasNext());
        }
        var event = ExecutionEvent.newBuilder()
                .setStateChanged(ExecutionStateChanged.newBuilder().setExecution(Execution.getDefaultInstance()));
        var read = WatchExecutionResponse.parseFrom(
                WatchExecutionResponse.newBuilder().setEvent(event).build().toByteString());
        GSON.toJson(Seen.update(StateChange.of(read.getEvent())));
        if (ledger.raw().channel() instanceof ManagedChannel channel) {
            var until = System.nanoTime() + Duration.ofSeconds(2).toNanos();
            for (var state = channel.getState(true);
                    (state == ConnectivityState.IDLE || state == ConnectivityState.CONNECTING)
                            && System.nanoTime() < until;
                    state = channel.getState(false)) {
                Thread.sleep(OFTEN.toMillis());
            }
            if (channel.getState(false) == ConnectivityState.READY) {
                var method = ExecutionServiceGrpc.getGetExecutionMethod().toBuilder()
                        .setFullMethodName("promptledger.v1.ExecutionService/WarmUp")
                        .build();
                var options = CallOptions.DEFAULT.withDeadlineAfter(2, TimeUnit.SECONDS);
                assertRefused(() -> ClientCalls.blockingUnaryCall(
                        channel, method, options, GetExecutionRequest.getDefaultInstance()));
            }
        }
    }

    private static void assertRefused(Runnable call) {
        try {
            call.run();
            throw new IllegalStateException("somebody answers that");
        } catch (StatusRuntimeException | GaveUpException refused) {
            // As was to be expected.
        }
    }

    private void perform(JsonObject asked) throws IOException, InterruptedException {
        var action = asked.get("do").getAsString();
        try {
            if (!(executes(action, asked) || prompts(action, asked) || caches(action, asked))) {
                say("unsupported", Map.of());
            }
        } catch (LedgerException error) {
            print(Seen.error(error));
        }
    }

    private boolean executes(String action, JsonObject asked) throws IOException {
        switch (action) {
            case "run" -> {
                var spec = asked.getAsJsonObject("spec");
                var ran = ledger.run(Options.prompt(spec), Options.variables(spec), given -> Options.spec(given, spec));
                say("result", Seen.execution(ran));
                if (asked.has("raise") && asked.get("raise").getAsBoolean()) {
                    ran.raiseForStatus();
                }
            }
            case "execute" -> {
                var ran = ledger.execute(
                        asked.get("name").getAsString(),
                        Options.variables(asked),
                        given -> Options.execute(given, asked));
                say("result", Seen.execution(ran));
            }
            case "stream" -> {
                var spec = asked.getAsJsonObject("spec");
                read(
                        ledger.stream(
                                Options.prompt(spec), Options.variables(spec), given -> Options.spec(given, spec)),
                        asked);
            }
            case "submit" -> {
                var spec = asked.getAsJsonObject("spec");
                var handle = ledger.submit(
                        Options.prompt(spec), Options.variables(spec), given -> Options.spec(given, spec));
                begun.put(name(asked, "as"), handle);
                say("submitted", Seen.submitted(handle));
            }
            case "handle" ->
                begun.put(name(asked, "as"), ledger.handle(asked.get("id").getAsString()));
            case "watch" ->
                read(
                        handle(asked)
                                .watch(
                                        asked.has("after_sequence")
                                                ? asked.get("after_sequence").getAsLong()
                                                : 0),
                        asked);
            case "tail" -> {
                var filter = asked.has("filter") ? asked.getAsJsonObject("filter") : new JsonObject();
                read(ledger.tail(given -> Options.tail(given, filter)), asked);
            }
            case "read" -> read((Iterator<?>) begun.get(name(asked, "of")), asked);
            case "stop" -> {
                var reading = begun.remove(name(asked, "of"));
                if (reading instanceof Updates updates) {
                    updates.close();
                } else if (reading instanceof Tail tail) {
                    tail.close();
                }
            }
            case "result" -> {
                var handle = handle(asked);
                var result = asked.has("timeout")
                        ? handle.result(Options.seconds(asked.get("timeout").getAsDouble()))
                        : handle.result();
                say("result", Seen.execution(result));
            }
            case "get" -> say("execution", Seen.execution(handle(asked).get()));
            case "cancel" -> say("execution", Seen.execution(handle(asked).cancel(name(asked, "reason"))));
            case "pause" -> {
                say("pause", Map.of());
                in.readLine();
            }
            default -> {
                return false;
            }
        }
        return true;
    }

    private boolean prompts(String action, JsonObject asked) {
        var prompts = ledger.prompts();
        var name = name(asked, "name");
        var pageSize = asked.has("page_size") ? asked.get("page_size").getAsInt() : 0;
        switch (action) {
            case "prompts.put" -> {
                var request = asked.getAsJsonObject("request");
                var template = request.has("template_source")
                        ? request.get("template_source").getAsString()
                        : null;
                var written =
                        prompts.put(request.get("name").getAsString(), template, given -> Options.put(given, request));
                say("put", Seen.put(written));
            }
            case "prompts.get" -> say("prompt", Seen.prompt(prompts.get(name)));
            case "prompts.list" -> {
                var request = asked.has("request") ? asked.getAsJsonObject("request") : new JsonObject();
                var size = request.has("page_size") ? request.get("page_size").getAsInt() : 0;
                prompts.list(filter -> Options.list(filter, request))
                        .pageSize(size)
                        .forEach(each -> say("prompt", Seen.prompt(each)));
            }
            case "prompts.versions" ->
                prompts.versions(name).pageSize(pageSize).forEach(each -> say("version", Seen.version(each)));
            case "prompts.history" ->
                prompts.history(name).pageSize(pageSize).forEach(each -> say("version", Seen.version(each)));
            case "prompts.activate" -> {
                var version = asked.get("version").getAsInt();
                var activated = asked.has("etag")
                        ? prompts.activate(name, version, write -> write.etag(name(asked, "etag")))
                        : prompts.activate(name, version);
                say("prompt", Seen.prompt(activated));
            }
            case "prompts.label" ->
                say(
                        "prompt",
                        Seen.prompt(prompts.label(
                                name, name(asked, "label"), asked.get("version").getAsInt())));
            case "prompts.render" -> {
                var variables = Options.variables(asked);
                var rendered = prompts.render(
                        name, variables == null ? Map.of() : variables, given -> Options.select(given, asked));
                say("rendered", Seen.rendered(rendered));
            }
            case "prompts.archive" -> say("prompt", Seen.prompt(prompts.archive(name)));
            case "prompts.changes" ->
                prompts.changes(name).pageSize(pageSize).forEach(each -> say("change", Seen.change(each)));
            case "prompts.batch_get" -> {
                var batch = prompts.batchGet(Options.texts(asked.getAsJsonArray("names")), name(asked, "label"));
                batch.found().forEach(each -> say("prompt", Seen.prompt(each)));
                if (!batch.missing().isEmpty()) {
                    say("missing", Map.of("names", batch.missing()));
                }
            }
            case "register" ->
                ledger.registerCodePrompts(
                                Options.codePrompts(asked.getAsJsonArray("prompts")),
                                given -> Options.register(given, asked))
                        .registered()
                        .forEach(each -> say("registered", Seen.registered(each)));
            default -> {
                return false;
            }
        }
        return true;
    }

    private boolean caches(String action, JsonObject asked) throws InterruptedException {
        switch (action) {
            case "cache.open" -> {
                var cache = ledger.promptCache(given -> Options.cache(given, asked));
                begun.put(name(asked, "as"), cache);
                if (!asked.has("wait") || asked.get("wait").getAsBoolean()) {
                    cache.synced();
                    say("synced", Map.of());
                }
            }
            case "cache.get" -> say("cached", cached(asked));
            case "cache.until" -> {
                var wanted = asked.has("version") && !asked.get("version").isJsonNull()
                        ? asked.get("version").getAsInt()
                        : null;
                until(() -> Objects.equals(cached(asked).get("version"), wanted));
                say("cached", cached(asked));
            }
            case "cache.stale" -> {
                var cache = cache(asked);
                var wanted = asked.get("is").getAsBoolean();
                until(() -> cache.staleSince().isPresent() == wanted);
                say("stale", Map.of("is", cache.staleSince().isPresent()));
            }
            default -> {
                return false;
            }
        }
        return true;
    }

    private PromptCache cache(JsonObject asked) {
        return (PromptCache) begun.get(name(asked, "of"));
    }

    private Map<String, Object> cached(JsonObject asked) {
        var line = new LinkedHashMap<String, Object>();
        line.put("name", name(asked, "name"));
        try {
            var found = asked.has("label")
                    ? cache(asked).get(name(asked, "name"), name(asked, "label"))
                    : cache(asked).get(name(asked, "name"));
            line.put("version", found.map(version -> version.number()).orElse(null));
            line.put("template", found.map(version -> version.template()).orElse(null));
        } catch (NotSyncedException empty) {
            line.put("version", null);
        }
        return line;
    }

    private static void until(BooleanSupplier enough) throws InterruptedException {
        for (var left = UNTIL.dividedBy(OFTEN); left > 0 && !enough.getAsBoolean(); left--) {
            Thread.sleep(OFTEN.toMillis());
        }
    }

    private Handle handle(JsonObject asked) {
        return asked.has("of") ? (Handle) begun.get(name(asked, "of")) : ledger.handle(name(asked, "id"));
    }

    /** Prints updates, to the one that {@code until} tells or to the end. */
    private void read(Iterator<?> updates, JsonObject asked) {
        if (asked.has("as")) {
            begun.put(name(asked, "as"), updates);
        }
        while (updates.hasNext()) {
            var update = updates.next();
            var line = Seen.update(update);
            print(line);
            if (update instanceof Update.Text) {
                line.put("so_far", ((Updates) updates).text());
            }
            if (asked.has("until") && hasAll(line, asked.getAsJsonObject("until"))) {
                return;
            }
        }
    }

    private static boolean hasAll(Map<String, Object> line, JsonObject wanted) {
        var seen = GSON.toJsonTree(line).getAsJsonObject();
        return wanted.entrySet().stream().allMatch(entry -> entry.getValue().equals(seen.get(entry.getKey())));
    }

    private static String name(JsonObject asked, String key) {
        JsonElement value = asked.get(key);
        return value == null || value.isJsonNull() ? "" : value.getAsString();
    }

    private void say(String saw, Map<String, ?> seen) {
        var line = new LinkedHashMap<String, Object>();
        line.put("saw", saw);
        line.putAll(seen);
        print(line);
    }

    private void print(Map<String, Object> line) {
        line.put("step", step);
        out.println(GSON.toJson(line));
    }
}
