package dev.promptledger.client;

import static dev.promptledger.client.scripted.Events.ID;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.promptledger.client.errors.CancelledException;
import dev.promptledger.client.errors.ClientClosedException;
import dev.promptledger.client.errors.InvalidFieldException;
import dev.promptledger.client.scripted.Events;
import dev.promptledger.client.scripted.Recorder;
import dev.promptledger.client.scripted.Refusal;
import dev.promptledger.client.scripted.ScriptedServer;
import dev.promptledger.v1.GetExecutionRequest;
import dev.promptledger.v1.GetExecutionResponse;
import dev.promptledger.v1.RunExecutionRequest;
import dev.promptledger.v1.RunExecutionResponse;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.MethodDescriptor;
import io.grpc.Status.Code;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A client as a whole: its interceptors, its logger, how it is closed, and what it sends. */
class ClientTest {
    private static final RunExecutionResponse RAN = RunExecutionResponse.newBuilder()
            .setExecution(Events.execution("Hello Ada."))
            .build();
    private static final GetExecutionResponse FOUND = GetExecutionResponse.newBuilder()
            .setExecution(Events.execution("Hello Ada."))
            .build();

    private final ScriptedServer server = new ScriptedServer();
    private final PromptLedger ledger = server.connect();

    @AfterEach
    void close() {
        ledger.close();
        server.close();
    }

    @Test
    void aServerThatComesBackIsFoundAtTheNextAttempt() {
        server.on("GetExecution", FOUND);
        ledger.handle(ID).get();
        var port = Integer.parseInt(server.url().substring(server.url().lastIndexOf(':') + 1));
        server.close();
        var log = new Recorder();
        try (var waiting = PromptLedger.connect(
                options -> options.server("http://127.0.0.1:" + port).logger(log))) {
            var found = new FutureTask<>(waiting.handle(ID)::get);
            new Thread(found).start();
            while (!log.has("again in")) {
                Thread.onSpinWait();
            }
            try (var again = new ScriptedServer(port)) {
                again.on("GetExecution", FOUND);
                assertEquals(ID, assertAnswers(found).id());
            }
        }
    }

    private static <T> T assertAnswers(FutureTask<T> task) {
        try {
            return task.get(60, TimeUnit.SECONDS);
        } catch (InterruptedException | ExecutionException | TimeoutException failure) {
            throw new AssertionError(failure);
        }
    }

    @Test
    void interceptorsAreCalledAndSeeNoKey() {
        server.on("GetExecution", FOUND);
        var seen = new ArrayList<String>();
        var interceptor = new ClientInterceptor() {
            @Override
            public <Q, A> ClientCall<Q, A> interceptCall(
                    MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
                seen.add(method.getBareMethodName());
                return next.newCall(method, options);
            }
        };
        try (var watched = PromptLedger.connect(options -> options.server(server.url())
                .apiKey(ScriptedServer.KEY)
                .project("shop")
                .interceptor(interceptor))) {
            watched.handle(ID).get();
            watched.raw().executions().getExecution(GetExecutionRequest.getDefaultInstance());
        }
        assertEquals(List.of("GetExecution", "GetExecution"), seen);
        assertEquals(
                List.of("shop", "shop"),
                server.asked().stream()
                        .map(asked -> asked.header("x-ledger-project"))
                        .toList());
    }

    @Test
    void theCurrentTraceContextGoesWithEachCall() {
        server.on("GetExecution", FOUND);
        ledger.handle(ID).get();
        assertNull(server.asked().get(0).header("traceparent"));
        try (var provider = SdkTracerProvider.builder().build()) {
            var span = provider.get("test").spanBuilder("test").startSpan();
            try (var scope = span.makeCurrent()) {
                assertEquals(ID, ledger.handle(ID).get().id(), scope.toString());
            }
            var header = server.asked().get(1).header("traceparent");
            assertTrue(header.contains(span.getSpanContext().getTraceId()), header);
        }
    }

    @Test
    void theLoggerIsToldOfCallsAndNeverOfKeys() {
        server.on("GetExecution", Refusal.of(Code.UNAVAILABLE, "DRAINING").retryAfter(Duration.ofMillis(5)))
                .on("GetExecution", FOUND);
        var log = new Recorder();
        try (var logged = PromptLedger.connect(options ->
                options.server(server.url()).apiKey(ScriptedServer.KEY).logger(log))) {
            logged.handle(ID).get();
            assertFalse(logged.toString().contains(ScriptedServer.KEY));
            assertFalse(logged.raw().toString().contains(ScriptedServer.KEY));
        }
        assertEquals(2, log.lines().size());
        assertTrue(log.lines().get(0).startsWith("INFO GetExecution: DRAINING after "));
        assertTrue(log.lines().get(1).startsWith("DEBUG GetExecution: OK after "));
        assertFalse(log.has(ScriptedServer.KEY));
    }

    @Test
    void aClosedClientCallsNobody() {
        ledger.close();
        assertThrows(ClientClosedException.class, ledger.handle(ID)::get);
        assertThrows(ClientClosedException.class, ledger.watch(ID)::next);
        assertThrows(ClientClosedException.class, ledger::promptCache);
        assertEquals(List.of(), server.asked());
    }

    @Test
    void closingEndsTheCallsThatAreUnderWay() {
        var called = new CountDownLatch(1);
        server.on("GetExecution", (Runnable) called::countDown, ScriptedServer.HANG);
        var get = new FutureTask<>(() -> assertThrows(ClientClosedException.class, ledger.handle(ID)::get));
        new Thread(get).start();
        assertTrue(reached(called));
        ledger.close();
        assertInstanceOf(ClientClosedException.class, assertAnswers(get));
    }

    private static boolean reached(CountDownLatch latch) {
        try {
            return latch.await(60, TimeUnit.SECONDS);
        } catch (InterruptedException interrupted) {
            throw new AssertionError(interrupted);
        }
    }

    @Test
    void anInterruptedThreadRepeatsNothingAndStaysInterrupted() {
        server.on("GetExecution", Refusal.of(Code.UNAVAILABLE, "DRAINING").retryAfter(Duration.ofSeconds(20)));
        server.on("GetPrompt", ScriptedServer.HANG);
        for (Runnable call :
                List.<Runnable>of(ledger.handle(ID)::get, () -> ledger.prompts().get("greet"))) {
            var task = new FutureTask<>(() -> {
                assertThrows(CancelledException.class, call::run);
                return Thread.currentThread().isInterrupted();
            });
            var thread = new Thread(task);
            var before = server.asked().size();
            thread.start();
            while (server.asked().size() == before) {
                Thread.onSpinWait();
            }
            thread.interrupt();
            assertTrue(assertAnswers(task));
        }
        assertEquals(2, server.asked().size());
    }

    @Test
    void whatSelectsTwoVersionsIsRefused() {
        assertThrows(
                IllegalArgumentException.class,
                () -> ledger.run("a", Map.of(), run -> run.version(1).label("b")));
        assertThrows(
                IllegalArgumentException.class,
                () -> ledger.prompts()
                        .version("a", selector -> selector.label("b").checksumHash("c")));
        assertThrows(
                IllegalArgumentException.class,
                () -> ledger.prompts().put("a", "text", put -> put.chat(ChatMessage.user("b"))));
        assertThrows(InvalidFieldException.class, () -> ledger.run("a", Map.of(), run -> run.model("gpt")));
        assertEquals(List.of(), server.asked());
    }

    @Test
    void everyOptionOfAnExecutionIsSent() {
        server.on("RunExecution", RAN);
        ledger.run(
                "greet",
                null,
                run -> run.label("production")
                        .environment("prod")
                        .messages(ChatMessage.user("hi"), ChatMessage.tool("call-1", "42"))
                        .model("openai/gpt-4o-mini")
                        .params(params -> params.setTemperature(0))
                        .tools(new Tool("weather", "looks it up", "{}"))
                        .toolChoice(ToolChoice.of("weather").parallel(false))
                        .responseFormat(ResponseFormat.JSON_OBJECT)
                        .without("tools")
                        .correlationId("c1")
                        .metadata(Map.of("user", "u-17"))
                        .retryFailed(true)
                        .expireAfter(Duration.ofHours(1))
                        .streamText(true)
                        .minRevision(7));
        var spec = server.requests(RunExecutionRequest.class).get(0).getSpec();
        assertFalse(spec.hasVariables());
        assertEquals("production", spec.getLabel());
        assertEquals("call-1", spec.getMessages(1).getToolCallId());
        assertEquals("gpt-4o-mini", spec.getModel().getModelName());
        assertTrue(spec.getParams().hasTemperature());
        assertEquals("weather", spec.getToolChoice().getName());
        assertTrue(spec.getToolChoice().hasParallel());
        assertTrue(spec.getResponseFormat().hasJsonObject());
        assertEquals(Arrays.asList("tools"), spec.getWithoutList());
        assertEquals(3_600, spec.getExpireAfter().getSeconds());
        assertTrue(spec.getStreamText() && spec.getRetryFailed());
        assertEquals(7, spec.getMinRevision());
        assertEquals(
                "prod c1 u-17",
                String.join(" ", spec.getEnvironment(), spec.getCorrelationId(), spec.getMetadataOrThrow("user")));
    }
}
