package dev.promptledger.client;

import dev.promptledger.v1.TemplateFormat;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;

/**
 * A prompt that lives in code. Each method returns a changed copy.
 *
 * @param raw the message of the contract
 */
public record CodePrompt(dev.promptledger.v1.CodePrompt raw) {
    /** A prompt that is a text. */
    public static CodePrompt of(String name, String template) {
        return new CodePrompt(dev.promptledger.v1.CodePrompt.newBuilder()
                .setName(name)
                .setTemplateSource(template)
                .build());
    }

    /** A prompt that is a chat. */
    public static CodePrompt of(String name, List<? extends ChatEntry> chat) {
        return new CodePrompt(dev.promptledger.v1.CodePrompt.newBuilder()
                .setName(name)
                .setChatTemplate(ChatEntry.template(chat))
                .build());
    }

    private CodePrompt with(Consumer<dev.promptledger.v1.CodePrompt.Builder> change) {
        var builder = raw.toBuilder();
        change.accept(builder);
        return new CodePrompt(builder.build());
    }

    public String name() {
        return raw.getName();
    }

    /** The hash that the content is to have, as {@link CodePrompts#templateHash} makes it; the ledger refuses another. */
    public CodePrompt templateHash(String hash) {
        return with(builder -> builder.setTemplateHash(hash));
    }

    /** The text is never parsed or rendered by the ledger, such as one of Jinja: it is executed by ready messages. */
    public CodePrompt opaque() {
        return with(builder -> builder.setTemplateFormat(TemplateFormat.TEMPLATE_FORMAT_OPAQUE));
    }

    /** What the content was tuned with. */
    public CodePrompt config(Consumer<? super ContentConfig> config) {
        return with(builder -> builder.setConfig(ContentConfig.of(config)));
    }

    /** Labels to set to the version. */
    public CodePrompt labels(String... labels) {
        return with(builder -> builder.addAllLabels(Arrays.asList(labels)));
    }

    public CodePrompt description(String description) {
        return with(builder -> builder.setDescription(description));
    }

    public CodePrompt ownerTeam(String team) {
        return with(builder -> builder.setOwnerTeam(team));
    }

    /** The path of the file within the repository. */
    public CodePrompt path(String path) {
        return with(builder -> builder.setPath(path));
    }

    /** Why the version is. */
    public CodePrompt note(String note) {
        return with(builder -> builder.setNote(note));
    }
}
