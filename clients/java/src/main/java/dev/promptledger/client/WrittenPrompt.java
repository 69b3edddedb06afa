package dev.promptledger.client;

import dev.promptledger.v1.PutPromptResponse;
import java.util.List;

/**
 * What {@code prompts().put} did.
 *
 * @param prompt the prompt as it is now
 * @param version the version with the content that was sent
 * @param versionChange whether the version was created
 * @param activated whether the call made it the active one
 * @param warnings what may be wrong with the content
 * @param revision the project's revision now: {@code minRevision} of a later read, {@code reached} of a cache
 */
public record WrittenPrompt(
        Prompt prompt,
        PromptVersion version,
        boolean versionChange,
        boolean activated,
        List<String> warnings,
        long revision) {
    static WrittenPrompt of(PutPromptResponse answer) {
        return new WrittenPrompt(
                new Prompt(answer.getPrompt(), answer.getVersion()),
                new PromptVersion(answer.getVersion()),
                answer.getVersionChange(),
                answer.getActivated(),
                List.copyOf(answer.getWarningsList()),
                answer.getRevision());
    }
}
