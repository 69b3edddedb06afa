package dev.promptledger.client.internal;

import dev.promptledger.client.Prompt;
import dev.promptledger.client.PromptVersion;
import dev.promptledger.v1.PromptChange;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The prompts that a cache holds, and the order in which they have changed. Each change makes an edition, so that a listener is a
 * number: what came behind it is new to it. Reading waits for nobody.
 */
public final class PromptTable {
    private final Map<String, Held> byName = new ConcurrentHashMap<>();
    /** Every name once, by the edition of its last change; those of prompts that are gone too. */
    private final TreeMap<Long, String> changed = new TreeMap<>();

    private final Map<String, Long> editions = new HashMap<>();
    private long edition;

    private record Held(
            PromptChange state,
            Optional<Prompt> prompt,
            Optional<PromptVersion> active,
            Map<String, Optional<PromptVersion>> labelled) {
        private static Held of(PromptChange state) {
            var prompt = state.getPrompt();
            var active = prompt.hasActiveVersionNumber()
                    ? find(state, prompt.getActiveVersionNumber())
                    : Optional.<PromptVersion>empty();
            var labelled = new HashMap<String, Optional<PromptVersion>>();
            prompt.getLabelsList()
                    .forEach(label -> labelled.put(label.getLabel(), find(state, label.getVersionNumber())));
            return new Held(state, Optional.of(new Prompt(prompt, active)), active, Map.copyOf(labelled));
        }

        private static Optional<PromptVersion> find(PromptChange state, int number) {
            if (state.hasActiveVersion() && state.getActiveVersion().getVersionNumber() == number) {
                return Optional.of(new PromptVersion(state.getActiveVersion()));
            }
            return state.getLabelledVersionsList().stream()
                    .filter(version -> version.getVersionNumber() == number)
                    .findFirst()
                    .map(PromptVersion::new);
        }
    }

    /** The version that is active ({@code label} null or {@code active}), or that a label points at. */
    public Optional<PromptVersion> version(String name, String label) {
        var held = byName.get(name);
        if (held == null) {
            return Optional.empty();
        }
        return label == null || label.equals("active")
                ? held.active()
                : held.labelled().getOrDefault(label, Optional.empty());
    }

    public Optional<Prompt> prompt(String name) {
        var held = byName.get(name);
        return held == null ? Optional.empty() : held.prompt();
    }

    /** Sorted. */
    public List<String> names() {
        return byName.keySet().stream().sorted().toList();
    }

    Collection<PromptChange> states() {
        return byName.values().stream().map(Held::state).toList();
    }

    /** Holds this state in the place of an earlier one. The same state again is no change. */
    public synchronized void put(PromptChange state) {
        var name = state.getPrompt().getName();
        var before = byName.get(name);
        if (before == null || !before.state().equals(state)) {
            byName.put(name, Held.of(state));
            change(name);
        }
    }

    /** Drops all other prompts than these. */
    public synchronized void keepOnly(Set<String> names) {
        for (var name : names()) {
            if (!names.contains(name)) {
                byName.remove(name);
                change(name);
            }
        }
    }

    private void change(String name) {
        edition++;
        var before = editions.put(name, edition);
        if (before != null) {
            changed.remove(before);
        }
        changed.put(edition, name);
    }

    /** The number of changes; 0 before the first. */
    public synchronized long edition() {
        return edition;
    }

    /**
     * What has changed.
     *
     * @param names of the prompts that have changed, or are gone, each once, by their last changes
     * @param edition the one up to which these are all
     */
    public record Changes(List<String> names, long edition) {}

    /** What has changed since this edition. */
    public synchronized Changes changesSince(long since) {
        return new Changes(List.copyOf(changed.tailMap(since, false).values()), edition);
    }
}
