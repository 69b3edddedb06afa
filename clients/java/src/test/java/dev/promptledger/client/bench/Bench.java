package dev.promptledger.client.bench;

import com.google.gson.Gson;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import dev.promptledger.client.PromptCache;
import dev.promptledger.client.PromptLedger;
import dev.promptledger.client.internal.Ids;
import dev.promptledger.v1.ExecutionServiceGrpc.ExecutionServiceBlockingStub;
import dev.promptledger.v1.ExecutionSpec;
import dev.promptledger.v1.GetPromptRequest;
import dev.promptledger.v1.ModelRef;
import dev.promptledger.v1.RegistryServiceGrpc.RegistryServiceBlockingStub;
import dev.promptledger.v1.SubmitExecutionRequest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/**
 * The figures of this client: {@code Bench SECONDS} measures each call for so many seconds and prints one line of JSON. The server of
 * the environment has the prompts {@code figures-00000} to {@code figures-09999}.
 */
public final class Bench {
    private static final int CALLERS = 8;
    private static final int PROMPTS = 10_000;
    private static final int TURNS = 10;
    private static final String[] NAMES = IntStream.range(0, PROMPTS)
            .mapToObj(number -> String.format("figures-%05d", number))
            .toArray(String[]::new);

    private Bench() {}

    public static void main(String[] arguments) throws InterruptedException, ExecutionException {
        var began = System.nanoTime();
        var turn = Duration.ofSeconds(Long.parseLong(arguments[0])).dividedBy(TURNS);
        try (var ledger = PromptLedger.connect()) {
            ledger.prompts().get(NAMES[0]);
            var startMs = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - began);

            var rows = new ArrayList<Map<String, Object>>();
            rows.addAll(inTurns("prompts.get", turn, getByLayer(ledger), getByStub(ledger)));
            rows.addAll(inTurns("submit", turn, submitByLayer(ledger), submitByStub(ledger)));

            var before = liveBytes();
            try (var cache = ledger.promptCache(options -> options.namePrefix("figures-"))
                    .synced()) {
                var cacheBytes = liveBytes() - before;
                var reads = new Measured("cache.get", "layer");
                for (var each = 0; each < TURNS; each++) {
                    read(cache, turn, reads);
                }
                rows.add(0, reads.row());
                var figures = new LinkedHashMap<String, Object>();
                figures.put("start_ms", startMs);
                figures.put("rows", rows);
                figures.put("cache_bytes", cacheBytes);
                System.out.println(new Gson().toJson(figures));
            }
        }
    }

    /** One call, of the prompt of this number. */
    private interface Action {
        void call(int number);
    }

    private static Action getByLayer(PromptLedger ledger) {
        return number -> ledger.prompts().get(NAMES[number]);
    }

    private static Action getByStub(PromptLedger ledger) {
        RegistryServiceBlockingStub stub = ledger.raw().registry();
        return number -> stub.withDeadlineAfter(30, TimeUnit.SECONDS)
                .getPrompt(GetPromptRequest.newBuilder().setName(NAMES[number]).build());
    }

    private static Action submitByLayer(PromptLedger ledger) {
        return number -> ledger.submit(NAMES[0], Map.of("name", "Ada"), submit -> submit.model("echo/echo"));
    }

    private static Action submitByStub(PromptLedger ledger) {
        ExecutionServiceBlockingStub stub = ledger.raw().executions();
        return number -> {
            var variables = Struct.newBuilder()
                    .putFields("name", Value.newBuilder().setStringValue("Ada").build());
            var spec = ExecutionSpec.newBuilder()
                    .setPromptName(NAMES[0])
                    .setVariables(variables)
                    .setModel(ModelRef.newBuilder().setProvider("echo").setModelName("echo"))
                    .setIdempotencyKey(Ids.uuid7());
            stub.withDeadlineAfter(30, TimeUnit.SECONDS)
                    .submitExecution(
                            SubmitExecutionRequest.newBuilder().setSpec(spec).build());
        };
    }

    /** The layer and the stub in turns, so that what the machine does meanwhile hits both; as often before it counts. */
    private static List<Map<String, Object>> inTurns(String call, Duration turn, Action layer, Action stub)
            throws InterruptedException {
        var byLayer = new Measured(call, "layer");
        var byStub = new Measured(call, "stub");
        for (var each = 0; each < TURNS; each++) {
            callAtOnce(layer, turn.dividedBy(2), new Measured(call, "layer"));
            callAtOnce(stub, turn.dividedBy(2), new Measured(call, "stub"));
        }
        for (var each = 0; each < TURNS / 2; each++) {
            callAtOnce(layer, turn, byLayer);
            callAtOnce(stub, turn, byStub);
            callAtOnce(stub, turn, byStub);
            callAtOnce(layer, turn, byLayer);
        }
        return List.of(byLayer.row(), byStub.row());
    }

    private static void callAtOnce(Action action, Duration turn, Measured measured) throws InterruptedException {
        var began = System.nanoTime();
        var ends = began + turn.toNanos();
        var threads = new ArrayList<Thread>();
        for (var caller = 0; caller < CALLERS; caller++) {
            var first = caller * (PROMPTS / CALLERS);
            var thread = new Thread(() -> {
                var latencies = new Latencies();
                var number = first;
                for (var now = System.nanoTime(); now < ends; ) {
                    action.call(number);
                    number = (number + 1) % PROMPTS;
                    var then = System.nanoTime();
                    latencies.add(then - now);
                    now = then;
                }
                measured.add(latencies);
            });
            thread.start();
            threads.add(thread);
        }
        for (var thread : threads) {
            thread.join();
        }
        measured.took(System.nanoTime() - began);
    }

    /** In batches, since one read takes less than a look at the clock. */
    private static void read(PromptCache cache, Duration turn, Measured measured) {
        var batch = 100;
        var latencies = new Latencies();
        var began = System.nanoTime();
        var ends = began + turn.toNanos();
        var number = 0;
        for (var now = began; now < ends; ) {
            for (var each = 0; each < batch; each++) {
                if (cache.get(NAMES[number]).isEmpty()) {
                    throw new IllegalStateException(NAMES[number] + " is missing");
                }
                number = (number + 1) % PROMPTS;
            }
            var then = System.nanoTime();
            latencies.add((then - now) / batch, batch);
            now = then;
        }
        measured.add(latencies);
        measured.took(System.nanoTime() - began);
    }

    private static long liveBytes() throws InterruptedException {
        for (var each = 0; each < 3; each++) {
            System.gc();
            Thread.sleep(50);
        }
        return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
    }
}
