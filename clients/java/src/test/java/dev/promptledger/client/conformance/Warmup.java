package dev.promptledger.client.conformance;

import dev.promptledger.client.scripted.ScriptedServer;
import dev.promptledger.v1.Execution;
import dev.promptledger.v1.ExecutionEvent;
import dev.promptledger.v1.ExecutionStateChanged;
import dev.promptledger.v1.ExecutionStatus;
import dev.promptledger.v1.GetExecutionResponse;
import dev.promptledger.v1.GetPromptResponse;
import dev.promptledger.v1.Prompt;
import dev.promptledger.v1.PromptsSynced;
import dev.promptledger.v1.RunExecutionResponse;
import dev.promptledger.v1.WatchExecutionResponse;
import dev.promptledger.v1.WatchPromptsResponse;
import io.grpc.Status;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/**
 * Drives the driver once, so that Java can write down which classes it loads: the driver starts in a fraction of the time with that
 * archive.
 */
public final class Warmup {
    private Warmup() {}

    public static void main(String[] arguments) throws IOException, InterruptedException {
        var execution =
                Execution.newBuilder().setExecutionId("e1").setStatus(ExecutionStatus.EXECUTION_STATUS_SUCCEEDED);
        var end = ExecutionEvent.newBuilder()
                .setExecutionId("e1")
                .setSequence(1)
                .setTerminal(true)
                .setStateChanged(ExecutionStateChanged.newBuilder().setExecution(execution));
        var refusal = dev.promptledger.client.scripted.Refusal.of(Status.Code.UNAVAILABLE, "DRAINING")
                .retryAfter(Duration.ofMillis(1));
        var server = new ScriptedServer();
        server.on("GetExecution", refusal);
        server.on(
                "GetExecution",
                GetExecutionResponse.newBuilder().setExecution(execution).build());
        server.on(
                "RunExecution",
                RunExecutionResponse.newBuilder().setExecution(execution).build());
        server.on(
                "GetPrompt",
                GetPromptResponse.newBuilder()
                        .setPrompt(Prompt.newBuilder().setName("a"))
                        .build());
        server.on("WatchExecution", refusal);
        server.on(
                "WatchExecution",
                WatchExecutionResponse.newBuilder().setEvent(end).build());
        server.on(
                "WatchPrompts",
                WatchPromptsResponse.newBuilder()
                        .setRevision(1)
                        .setSynced(PromptsSynced.getDefaultInstance())
                        .build(),
                ScriptedServer.HANG);
        var scenario = """
                {"options": {"server": "%s", "api_key": "k", "timeout": 20, "silence": 20, "patience": 20}, "steps": [\
                {"do": "get", "id": "e1"}, {"do": "run", "spec": {"prompt_name": "a", "variables": {"b": [1, {"c": null}]}}}, \
                {"do": "prompts.get", "name": "a"}, {"do": "watch", "id": "e1"}, {"do": "cache.open", "as": "c"}, \
                {"do": "cache.get", "of": "c", "name": "a"}]}
                """.formatted(server.url());
        System.setIn(new ByteArrayInputStream(scenario.getBytes(StandardCharsets.UTF_8)));
        Driver.main(arguments);
    }
}
