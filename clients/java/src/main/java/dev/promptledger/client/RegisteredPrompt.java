package dev.promptledger.client;

import java.util.List;
import java.util.OptionalInt;

/**
 * What registering one prompt came to, or would come to.
 *
 * @param name of the prompt
 * @param action what was done
 * @param version the number of the version with the content in code
 * @param previousVersion the version that was active before
 * @param changeDetected whether the content differs from that one's
 * @param checksumHash identifies the content
 * @param warnings what may be wrong with the content
 */
public record RegisteredPrompt(
        String name,
        RegistrationAction action,
        int version,
        OptionalInt previousVersion,
        boolean changeDetected,
        String checksumHash,
        List<String> warnings) {
    static RegisteredPrompt of(dev.promptledger.v1.RegisteredPrompt raw) {
        return new RegisteredPrompt(
                raw.getName(),
                RegistrationAction.of(raw.getActionValue()),
                raw.getVersion(),
                raw.hasPreviousVersion() ? OptionalInt.of(raw.getPreviousVersion()) : OptionalInt.empty(),
                raw.getChangeDetected(),
                raw.getChecksumHash(),
                List.copyOf(raw.getWarningsList()));
    }
}
