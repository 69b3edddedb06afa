package dev.promptledger.client;

import dev.promptledger.v1.ListPromptsRequest;
import java.util.function.Consumer;

/** Which prompts to list; filters are joined by "and". */
public final class PromptFilter {
    private final ListPromptsRequest.Builder request = ListPromptsRequest.newBuilder();

    PromptFilter() {}

    static ListPromptsRequest of(Consumer<? super PromptFilter> filter) {
        var result = new PromptFilter();
        filter.accept(result);
        return result.request.build();
    }

    public PromptFilter mode(PromptMode mode) {
        request.setModeValue(mode.ordinal());
        return this;
    }

    public PromptFilter ownerTeam(String team) {
        request.setOwnerTeam(team);
        return this;
    }

    public PromptFilter namePrefix(String prefix) {
        request.setNamePrefix(prefix);
        return this;
    }

    public PromptFilter tag(String tag) {
        request.setTag(tag);
        return this;
    }

    /** Only prompts that have this label. */
    public PromptFilter label(String label) {
        request.setLabel(label);
        return this;
    }

    /** Words that the name or the description holds. */
    public PromptFilter query(String query) {
        request.setQuery(query);
        return this;
    }

    /** Whether archived prompts are listed too. */
    public PromptFilter includeArchived(boolean include) {
        request.setIncludeArchived(include);
        return this;
    }
}
