package dev.promptledger.client;

/**
 * A model's wish to have a tool called.
 *
 * @param id the provider's own id of the call
 * @param name the name of the tool
 * @param arguments as the model wrote them, mostly a JSON text
 */
public record ToolCall(String id, String name, String arguments) {
    static ToolCall of(dev.promptledger.v1.ToolCall raw) {
        return new ToolCall(raw.getId(), raw.getName(), raw.getArguments());
    }
}
