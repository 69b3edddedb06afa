package dev.promptledger.client;

import java.util.List;

/**
 * A message of a chat. In a template its content is rendered.
 *
 * @param raw the message of the contract, which may have parts, such as images
 */
public record ChatMessage(dev.promptledger.v1.ChatMessage raw) implements ChatEntry {
    /** A message of a role: {@code system}, {@code developer}, {@code user}, {@code assistant} or {@code tool}. */
    public static ChatMessage of(String role, String content) {
        return new ChatMessage(dev.promptledger.v1.ChatMessage.newBuilder()
                .setRole(role)
                .setContent(content)
                .build());
    }

    public static ChatMessage system(String content) {
        return of("system", content);
    }

    public static ChatMessage user(String content) {
        return of("user", content);
    }

    public static ChatMessage assistant(String content) {
        return of("assistant", content);
    }

    /** The answer of a tool to the call of this id. */
    public static ChatMessage tool(String callId, String content) {
        var message = of("tool", content).raw().toBuilder().setToolCallId(callId);
        return new ChatMessage(message.build());
    }

    public String role() {
        return raw.getRole();
    }

    /** The text; empty where the message has parts, or calls of tools alone. */
    public String content() {
        return raw.getContent();
    }

    /** The calls of tools that an assistant's message asks for. */
    public List<ToolCall> toolCalls() {
        return raw.getToolCallsList().stream().map(ToolCall::of).toList();
    }

    /** Which call a tool's message answers; empty in others. */
    public String toolCallId() {
        return raw.getToolCallId();
    }
}
