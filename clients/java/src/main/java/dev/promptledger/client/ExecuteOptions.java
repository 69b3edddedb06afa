package dev.promptledger.client;

import dev.promptledger.client.internal.Json;
import dev.promptledger.client.internal.Protos;
import dev.promptledger.v1.ExecutionSpec;
import dev.promptledger.v1.ModelParams;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** What an execution may be told, beside the prompt and its variables. All of it is optional. */
public final class ExecuteOptions {
    private final ExecutionSpec.Builder spec = ExecutionSpec.newBuilder();
    /** Of the call; null: what follows from the spec. */
    Duration deadline;

    ExecuteOptions() {}

    /** The message of these options. Variables are absent where they are null, as where ready messages are sent. */
    static ExecuteOptions of(String prompt, Map<String, ?> variables, Consumer<? super ExecuteOptions> options) {
        var result = new ExecuteOptions();
        result.spec.setPromptName(prompt);
        if (variables != null) {
            result.spec.setVariables(Json.struct(variables, "variables"));
        }
        options.accept(result);
        return result;
    }

    ExecutionSpec.Builder spec() {
        return spec;
    }

    /** The version by its number, instead of the active one. */
    public ExecuteOptions version(int number) {
        checkNoSelector();
        spec.setVersionNumber(number);
        return this;
    }

    /** The version that a label points at. */
    public ExecuteOptions label(String label) {
        checkNoSelector();
        spec.setLabel(label);
        return this;
    }

    /** The version with that content. */
    public ExecuteOptions checksumHash(String hash) {
        checkNoSelector();
        spec.setChecksumHash(hash);
        return this;
    }

    private void checkNoSelector() {
        if (spec.getSelectorCase() != ExecutionSpec.SelectorCase.SELECTOR_NOT_SET) {
            throw new IllegalArgumentException(
                    "version, label and checksumHash select a version each: give one of them");
        }
    }

    /** For reports: {@code dev}, {@code staging}, {@code prod}. It never selects a version. */
    public ExecuteOptions environment(String environment) {
        spec.setEnvironment(environment);
        return this;
    }

    /** Ready messages instead of variables; of prompts in code only. */
    public ExecuteOptions messages(ChatMessage... messages) {
        return messages(Arrays.asList(messages));
    }

    /** Ready messages instead of variables; of prompts in code only. */
    public ExecuteOptions messages(List<ChatMessage> messages) {
        messages.forEach(message -> spec.addMessages(message.raw()));
        return this;
    }

    /** {@code provider/model}, such as {@code openai/gpt-4o-mini}. */
    public ExecuteOptions model(String model) {
        spec.setModel(ContentConfig.modelOf(model));
        return this;
    }

    /** Parameters of the model, such as {@code params -> params.setTemperature(0)}; they win over those of the version. */
    public ExecuteOptions params(Consumer<ModelParams.Builder> params) {
        params.accept(spec.getParamsBuilder());
        return this;
    }

    /** What the model may ask to have called. */
    public ExecuteOptions tools(Tool... tools) {
        return tools(Arrays.asList(tools));
    }

    /** What the model may ask to have called. */
    public ExecuteOptions tools(List<Tool> tools) {
        tools.forEach(tool -> spec.addTools(tool.raw()));
        return this;
    }

    /** Which tools the model is to call. */
    public ExecuteOptions toolChoice(ToolChoice choice) {
        spec.setToolChoice(choice.raw());
        return this;
    }

    /** The form of the answer. */
    public ExecuteOptions responseFormat(ResponseFormat format) {
        spec.setResponseFormat(format.raw());
        return this;
    }

    /** What of the version's config to leave out. */
    public ExecuteOptions without(String... fields) {
        spec.addAllWithout(Arrays.asList(fields));
        return this;
    }

    /** Joins executions that belong together. */
    public ExecuteOptions correlationId(String id) {
        spec.setCorrelationId(id);
        return this;
    }

    /** Yours, to find executions by. */
    public ExecuteOptions metadata(Map<String, String> metadata) {
        spec.putAllMetadata(metadata);
        return this;
    }

    /** Makes the call safe to repeat. */
    public ExecuteOptions idempotencyKey(String key) {
        spec.setIdempotencyKey(key);
        return this;
    }

    /** Whether to execute again where the execution that has the key has failed. */
    public ExecuteOptions retryFailed(boolean retry) {
        spec.setRetryFailed(retry);
        return this;
    }

    /** Bounds each call of the provider; 120 s. */
    public ExecuteOptions timeout(Duration timeout) {
        spec.setTimeout(Protos.duration(timeout));
        return this;
    }

    /** Bounds the whole life of the execution. */
    public ExecuteOptions expireAfter(Duration duration) {
        spec.setExpireAfter(Protos.duration(duration));
        return this;
    }

    /** How often the provider is called again where it failed. */
    public ExecuteOptions maxRetries(int retries) {
        spec.setMaxRetries(retries);
        return this;
    }

    /** Whether watchers see the text while the model writes it; always so for {@code stream}. */
    public ExecuteOptions streamText(boolean stream) {
        spec.setStreamText(stream);
        return this;
    }

    /** The least revision to resolve the prompt at, as a write told it. */
    public ExecuteOptions minRevision(long revision) {
        spec.setMinRevision(revision);
        return this;
    }

    /** Bounds the call itself, instead of what follows from {@code timeout} and {@code maxRetries}. */
    public ExecuteOptions deadline(Duration deadline) {
        this.deadline = deadline;
        return this;
    }
}
