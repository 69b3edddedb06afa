package dev.promptledger.client.internal;

import dev.promptledger.v1.ExecutionSpec;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The hashes of the texts that this process has registered, by the prompts' names: whoever executes one runs its own text, also
 * while another release registers another.
 */
public final class CodeHashes {
    private final boolean trackingOnly;
    private final Map<String, String> hashes = new ConcurrentHashMap<>();

    public CodeHashes(boolean trackingOnly) {
        this.trackingOnly = trackingOnly;
    }

    public void keep(String prompt, String hash) {
        hashes.put(prompt, hash);
    }

    /** Whether a prompt is in code, as far as this client knows. */
    public boolean isInCode(String prompt) {
        return trackingOnly || hashes.containsKey(prompt);
    }

    /** Selects the text in hand, where it is known and the spec selects none. */
    public void select(ExecutionSpec.Builder spec) {
        var hash = hashes.get(spec.getPromptName());
        if (hash != null && spec.getSelectorCase() == ExecutionSpec.SelectorCase.SELECTOR_NOT_SET) {
            spec.setChecksumHash(hash);
        }
    }
}
