package dev.promptledger.client;

import dev.promptledger.client.internal.Errors;
import dev.promptledger.client.internal.Json;
import dev.promptledger.v1.ModelParams;
import dev.promptledger.v1.ModelRef;
import dev.promptledger.v1.VersionConfig;
import java.util.Arrays;
import java.util.Map;
import java.util.function.Consumer;

/** What a content was tuned with. It is part of the content: another one makes another version. */
public final class ContentConfig {
    private final VersionConfig.Builder config = VersionConfig.newBuilder();

    ContentConfig() {}

    static VersionConfig of(Consumer<? super ContentConfig> options) {
        var result = new ContentConfig();
        options.accept(result);
        return result.config.build();
    }

    static ModelRef modelOf(String model) {
        var slash = model.indexOf('/');
        if (slash < 0) {
            throw Errors.invalidField("model", "`" + model + "` is no PROVIDER/MODEL, such as openai/gpt-4o-mini");
        }
        return ModelRef.newBuilder()
                .setProvider(model.substring(0, slash))
                .setModelName(model.substring(slash + 1))
                .build();
    }

    /** {@code provider/model}, such as {@code openai/gpt-4o-mini}. */
    public ContentConfig model(String model) {
        config.setModel(modelOf(model));
        return this;
    }

    /** Parameters of the model, such as {@code params -> params.setTemperature(0)}. */
    public ContentConfig params(Consumer<ModelParams.Builder> params) {
        params.accept(config.getParamsBuilder());
        return this;
    }

    /** What the model may ask to have called. */
    public ContentConfig tools(Tool... tools) {
        Arrays.asList(tools).forEach(tool -> config.addTools(tool.raw()));
        return this;
    }

    /** Which tools the model is to call. */
    public ContentConfig toolChoice(ToolChoice choice) {
        config.setToolChoice(choice.raw());
        return this;
    }

    /** The form of the answer. */
    public ContentConfig responseFormat(ResponseFormat format) {
        config.setResponseFormat(format.raw());
        return this;
    }

    /** Yours: hashed and returned, never sent to a model. */
    public ContentConfig custom(Map<String, ?> custom) {
        config.setCustom(Json.struct(custom, "config.custom"));
        return this;
    }
}
