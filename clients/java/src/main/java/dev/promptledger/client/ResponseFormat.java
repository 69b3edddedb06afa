package dev.promptledger.client;

import dev.promptledger.v1.JsonObject;
import dev.promptledger.v1.JsonSchema;

/**
 * The form that the model answers in.
 *
 * @param raw the message of the contract
 */
public record ResponseFormat(dev.promptledger.v1.ResponseFormat raw) {
    /** JSON of any form. */
    public static final ResponseFormat JSON_OBJECT = new ResponseFormat(dev.promptledger.v1.ResponseFormat.newBuilder()
            .setJsonObject(JsonObject.getDefaultInstance())
            .build());

    /**
     * JSON that matches a schema.
     *
     * @param name {@code [A-Za-z0-9_-]{1,64}}
     * @param schemaJson the JSON Schema as a JSON text
     * @param strict whether the provider makes sure that the answer matches
     */
    public static ResponseFormat jsonSchema(String name, String schemaJson, boolean strict) {
        var schema =
                JsonSchema.newBuilder().setName(name).setSchemaJson(schemaJson).setStrict(strict);
        return new ResponseFormat(dev.promptledger.v1.ResponseFormat.newBuilder()
                .setJsonSchema(schema)
                .build());
    }
}
