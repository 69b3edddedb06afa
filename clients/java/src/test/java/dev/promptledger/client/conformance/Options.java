package dev.promptledger.client.conformance;

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.reflect.TypeToken;
import dev.promptledger.client.CacheOptions;
import dev.promptledger.client.ChatEntry;
import dev.promptledger.client.ChatMessage;
import dev.promptledger.client.CodePrompt;
import dev.promptledger.client.ConnectOptions;
import dev.promptledger.client.ExecuteOptions;
import dev.promptledger.client.Placeholder;
import dev.promptledger.client.PromptFilter;
import dev.promptledger.client.PutOptions;
import dev.promptledger.client.RegisterOptions;
import dev.promptledger.client.TailFilter;
import dev.promptledger.client.Tool;
import dev.promptledger.client.VersionSelector;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** What the steps of scenarios say, as a user gives it to the client. What none of them says is an error here. */
final class Options {
    private static final Gson GSON = new Gson();

    private Options() {}

    static Duration seconds(double seconds) {
        return Duration.ofNanos(Math.round(seconds * 1e9));
    }

    /** A duration of protobuf's JSON form, such as {@code 0.5s}. */
    private static Duration duration(JsonElement value) {
        var text = value.getAsString();
        return seconds(Double.parseDouble(text.substring(0, text.length() - 1)));
    }

    static List<String> texts(JsonArray values) {
        var texts = new ArrayList<String>();
        values.forEach(value -> texts.add(value.getAsString()));
        return texts;
    }

    static String prompt(JsonObject spec) {
        return spec.get("prompt_name").getAsString();
    }

    /** Null where there are none. */
    static Map<String, Object> variables(JsonObject holder) {
        return holder.has("variables")
                ? GSON.fromJson(holder.get("variables"), new TypeToken<Map<String, Object>>() {}.getType())
                : null;
    }

    static void connect(ConnectOptions given, JsonObject options) {
        options.entrySet().forEach(option -> {
            var value = option.getValue();
            switch (option.getKey()) {
                case "server" -> given.server(value.getAsString());
                case "api_key" -> given.apiKey(value.getAsString());
                case "project" -> given.project(value.getAsString());
                case "tls_ca" -> given.tlsCa(Path.of(value.getAsString()));
                case "tls_cert" ->
                    given.tlsClient(
                            Path.of(value.getAsString()),
                            Path.of(options.get("tls_key").getAsString()));
                case "tls_key" -> {}
                case "allow_plaintext" -> given.allowPlaintext(value.getAsBoolean());
                case "timeout" -> given.timeout(seconds(value.getAsDouble()));
                case "silence" -> given.silence(seconds(value.getAsDouble()));
                case "patience" -> given.patience(seconds(value.getAsDouble()));
                default -> throw unknown(option.getKey());
            }
        });
    }

    static void spec(ExecuteOptions given, JsonObject spec) {
        spec.entrySet().forEach(field -> {
            var value = field.getValue();
            switch (field.getKey()) {
                case "prompt_name", "variables" -> {}
                case "version_number" -> given.version(value.getAsInt());
                case "label" -> given.label(value.getAsString());
                case "correlation_id" -> given.correlationId(value.getAsString());
                case "idempotency_key" -> given.idempotencyKey(value.getAsString());
                case "timeout" -> given.timeout(duration(value));
                case "max_retries" -> given.maxRetries(value.getAsInt());
                case "stream_text" -> given.streamText(value.getAsBoolean());
                case "retry_failed" -> given.retryFailed(value.getAsBoolean());
                case "tools" -> value.getAsJsonArray().forEach(tool -> given.tools(tool(tool.getAsJsonObject())));
                default -> throw unknown(field.getKey());
            }
        });
    }

    private static Tool tool(JsonObject tool) {
        return new Tool(
                tool.get("name").getAsString(),
                tool.get("description").getAsString(),
                tool.get("parameters_json").getAsString());
    }

    static void execute(ExecuteOptions given, JsonObject step) {
        if (step.has("idempotency_key")) {
            given.idempotencyKey(step.get("idempotency_key").getAsString());
        }
        if (step.has("max_retries")) {
            given.maxRetries(step.get("max_retries").getAsInt());
        }
        if (step.has("timeout")) {
            given.timeout(seconds(step.get("timeout").getAsDouble()));
        }
    }

    static void put(PutOptions given, JsonObject request) {
        request.entrySet().forEach(field -> {
            var value = field.getValue();
            switch (field.getKey()) {
                case "name", "template_source" -> {}
                case "chat_template" -> given.chat(chat(value.getAsJsonObject().getAsJsonArray("entries")));
                case "set_active" -> given.setActive(value.getAsBoolean());
                case "description" -> given.description(value.getAsString());
                case "owner_team" -> given.ownerTeam(value.getAsString());
                case "tags" ->
                    given.tags(texts(value.getAsJsonObject().getAsJsonArray("values"))
                            .toArray(String[]::new));
                case "labels" -> given.labels(texts(value.getAsJsonArray()).toArray(String[]::new));
                case "create_only" -> given.createOnly(value.getAsBoolean());
                case "etag" -> given.etag(value.getAsString());
                default -> throw unknown(field.getKey());
            }
        });
    }

    private static List<ChatEntry> chat(JsonArray entries) {
        var chat = new ArrayList<ChatEntry>();
        entries.forEach(each -> {
            var entry = each.getAsJsonObject();
            if (entry.has("placeholder")) {
                chat.add(new Placeholder(entry.get("placeholder").getAsString()));
            } else {
                var message = entry.getAsJsonObject("message");
                chat.add(ChatMessage.of(
                        message.get("role").getAsString(),
                        message.get("content").getAsString()));
            }
        });
        return chat;
    }

    static void list(PromptFilter given, JsonObject request) {
        request.entrySet().forEach(field -> {
            var value = field.getValue();
            switch (field.getKey()) {
                case "page_size" -> {}
                case "name_prefix" -> given.namePrefix(value.getAsString());
                case "tag" -> given.tag(value.getAsString());
                case "label" -> given.label(value.getAsString());
                case "owner_team" -> given.ownerTeam(value.getAsString());
                case "query" -> given.query(value.getAsString());
                case "include_archived" -> given.includeArchived(value.getAsBoolean());
                default -> throw unknown(field.getKey());
            }
        });
    }

    static void select(VersionSelector given, JsonObject step) {
        if (step.has("label")) {
            given.label(step.get("label").getAsString());
        }
        if (step.has("version")) {
            given.version(step.get("version").getAsInt());
        }
    }

    static void tail(TailFilter given, JsonObject filter) {
        filter.entrySet().forEach(field -> {
            var value = field.getValue();
            switch (field.getKey()) {
                case "prompt_name" -> given.promptName(value.getAsString());
                case "environment" -> given.environment(value.getAsString());
                case "correlation_id" -> given.correlationId(value.getAsString());
                case "since" -> given.since(Instant.parse(value.getAsString()));
                case "view" -> given.full(value.getAsString().equals("EXECUTION_VIEW_FULL"));
                default -> throw unknown(field.getKey());
            }
        });
    }

    static void register(RegisterOptions given, JsonObject step) {
        if (step.has("dry_run")) {
            given.dryRun(step.get("dry_run").getAsBoolean());
        }
        if (step.has("set_active")) {
            given.setActive(step.get("set_active").getAsBoolean());
        }
    }

    static List<CodePrompt> codePrompts(JsonArray prompts) {
        var result = new ArrayList<CodePrompt>();
        prompts.forEach(each -> {
            var prompt = each.getAsJsonObject();
            var read = CodePrompt.of(
                    prompt.get("name").getAsString(),
                    prompt.get("template_source").getAsString());
            result.add(
                    prompt.has("template_hash")
                            ? read.templateHash(prompt.get("template_hash").getAsString())
                            : read);
        });
        return result;
    }

    static void cache(CacheOptions given, JsonObject step) {
        if (step.has("names")) {
            given.names(texts(step.getAsJsonArray("names")));
        }
        if (step.has("name_prefix")) {
            given.namePrefix(step.get("name_prefix").getAsString());
        }
    }

    private static IllegalArgumentException unknown(String name) {
        return new IllegalArgumentException(name + " is not known to this driver");
    }
}
