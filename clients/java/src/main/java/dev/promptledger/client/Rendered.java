package dev.promptledger.client;

import dev.promptledger.v1.RenderPromptResponse;
import java.util.List;
import java.util.Optional;

/**
 * What an execution would send: a text, or messages.
 *
 * @param text the text; empty where the content is a chat
 * @param messages the messages of a chat; empty where the content is a text
 * @param truncated whether the text was cut at its limit
 * @param version the version that was rendered; empty for a draft
 */
public record Rendered(String text, List<ChatMessage> messages, boolean truncated, Optional<PromptVersion> version) {
    static Rendered of(RenderPromptResponse answer) {
        return new Rendered(
                answer.getRenderedPrompt(),
                answer.getMessagesList().stream().map(ChatMessage::new).toList(),
                answer.getPromptTruncated(),
                answer.hasVersion() ? Optional.of(new PromptVersion(answer.getVersion())) : Optional.empty());
    }
}
