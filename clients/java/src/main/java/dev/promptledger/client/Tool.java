package dev.promptledger.client;

/**
 * A function that the model may ask to have called. The ledger runs none.
 *
 * @param name {@code [A-Za-z0-9_-]{1,64}}
 * @param description what the tool does and when to use it, for the model; may be empty
 * @param parametersJson the JSON Schema of the arguments, an object, as a JSON text; empty: an object without properties
 * @param strict whether the provider makes sure that arguments match the schema
 */
public record Tool(String name, String description, String parametersJson, boolean strict) {
    public Tool(String name, String description, String parametersJson) {
        this(name, description, parametersJson, false);
    }

    dev.promptledger.v1.Tool raw() {
        return dev.promptledger.v1.Tool.newBuilder()
                .setName(name)
                .setDescription(description)
                .setParametersJson(parametersJson)
                .setStrict(strict)
                .build();
    }
}
