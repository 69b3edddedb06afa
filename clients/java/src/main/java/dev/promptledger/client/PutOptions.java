package dev.promptledger.client;

import dev.promptledger.v1.PutPromptRequest;
import dev.promptledger.v1.Tags;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;

/** What to write of a prompt beside a text. What is absent is kept, what is empty is cleared. */
public final class PutOptions {
    private final PutPromptRequest.Builder request = PutPromptRequest.newBuilder();

    PutOptions() {}

    static PutPromptRequest of(String name, String template, Consumer<? super PutOptions> options) {
        var result = new PutOptions();
        result.request.setName(name);
        options.accept(result);
        if (template != null) {
            if (result.request.hasChatTemplate()) {
                throw new IllegalArgumentException("give either a template or a chat");
            }
            result.request.setTemplateSource(template);
        }
        return result.request.build();
    }

    /** The content as a chat, instead of a text. */
    public PutOptions chat(ChatEntry... entries) {
        return chat(Arrays.asList(entries));
    }

    /** The content as a chat, instead of a text. */
    public PutOptions chat(List<? extends ChatEntry> entries) {
        request.setChatTemplate(ChatEntry.template(entries));
        return this;
    }

    /** What the content was tuned with. */
    public PutOptions config(Consumer<? super ContentConfig> config) {
        request.setConfig(ContentConfig.of(config));
        return this;
    }

    /** Whether to make the version with this content the active one. */
    public PutOptions setActive(boolean active) {
        request.setSetActive(active);
        return this;
    }

    /** Labels to set to it. */
    public PutOptions labels(String... labels) {
        request.addAllLabels(Arrays.asList(labels));
        return this;
    }

    public PutOptions description(String description) {
        request.setDescription(description);
        return this;
    }

    public PutOptions ownerTeam(String team) {
        request.setOwnerTeam(team);
        return this;
    }

    public PutOptions tags(String... tags) {
        request.setTags(Tags.newBuilder().addAllValues(Arrays.asList(tags)));
        return this;
    }

    /** Who writes; stored with the version. */
    public PutOptions createdBy(String who) {
        request.setCreatedBy(who);
        return this;
    }

    /** Why the version is. */
    public PutOptions note(String note) {
        request.setNote(note);
        return this;
    }

    /** Whether the prompt must not exist yet. */
    public PutOptions createOnly(boolean createOnly) {
        request.setCreateOnly(createOnly);
        return this;
    }

    /** The etag that the prompt must have. */
    public PutOptions etag(String etag) {
        request.setEtag(etag);
        return this;
    }
}
