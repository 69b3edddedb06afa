package dev.promptledger.client;

import dev.promptledger.v1.ChatTemplate;
import dev.promptledger.v1.ChatTemplateEntry;
import java.util.List;

/** An entry of a chat: a {@link ChatMessage}, or a {@link Placeholder} for messages. */
public sealed interface ChatEntry permits ChatMessage, Placeholder {
    /** The entries of a content's chat; of a kind that this client does not know none are told. */
    static List<ChatEntry> of(ChatTemplate template) {
        return template.getEntriesList().stream()
                .filter(entry -> entry.getEntryCase() != ChatTemplateEntry.EntryCase.ENTRY_NOT_SET)
                .<ChatEntry>map(entry -> entry.hasMessage()
                        ? new ChatMessage(entry.getMessage())
                        : new Placeholder(entry.getPlaceholder()))
                .toList();
    }

    /** The chat of these entries. */
    static ChatTemplate template(List<? extends ChatEntry> entries) {
        var template = ChatTemplate.newBuilder();
        for (var entry : entries) {
            if (entry instanceof ChatMessage message) {
                template.addEntries(ChatTemplateEntry.newBuilder().setMessage(message.raw()));
            } else if (entry instanceof Placeholder placeholder) {
                template.addEntries(ChatTemplateEntry.newBuilder().setPlaceholder(placeholder.variable()));
            }
        }
        return template.build();
    }
}
