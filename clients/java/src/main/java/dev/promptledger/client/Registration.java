package dev.promptledger.client;

import com.google.protobuf.TextFormat;
import dev.promptledger.client.internal.Call;
import dev.promptledger.client.internal.Transport;
import dev.promptledger.client.internal.UnifiedDiff;
import dev.promptledger.v1.ChatTemplate;
import dev.promptledger.v1.CodeRegistrationServiceGrpc;
import dev.promptledger.v1.VersionConfig;
import java.util.List;
import java.util.function.Function;

/**
 * What a registration came to, or with {@code dryRun} would come to.
 *
 * @param registered in the order of the prompts
 * @param revision the project's revision now
 * @param diff for people: what differs from the ledger, as unified diffs; of a dry run only, empty where nothing differs
 */
public record Registration(List<RegisteredPrompt> registered, long revision, String diff) {
    /** Whether anything was written, or would be. */
    public boolean changed() {
        return registered.stream().anyMatch(each -> each.action() != RegistrationAction.UNCHANGED);
    }

    /** For CI: 0 where nothing would be written, else 1. */
    public int exitCode() {
        return changed() ? 1 : 0;
    }

    static Registration register(
            Transport transport, Prompts registry, List<CodePrompt> prompts, RegisterOptions options) {
        prompts.forEach(prompt -> options.request().addPrompts(prompt.raw()));
        var answer = transport.call(new Call<>(
                CodeRegistrationServiceGrpc.getRegisterCodePromptsMethod(),
                options.request().build(),
                Function.identity()));
        var registered =
                answer.getRegisteredList().stream().map(RegisteredPrompt::of).toList();
        var diff = new StringBuilder();
        for (var index = 0; options.isDryRun() && index < Math.min(registered.size(), prompts.size()); index++) {
            diff.append(difference(registry, prompts.get(index).raw(), registered.get(index)));
        }
        return new Registration(registered, answer.getRevision(), diff.toString());
    }

    /** A unified diff of the current version and the content in code. */
    private static String difference(
            Prompts registry, dev.promptledger.v1.CodePrompt prompt, RegisteredPrompt outcome) {
        if (outcome.action() == RegistrationAction.UNCHANGED) {
            return "";
        }
        var from = "/dev/null";
        var before = "";
        if (outcome.previousVersion().isPresent()) {
            var number = outcome.previousVersion().getAsInt();
            var version = registry.version(prompt.getName(), selector -> selector.version(number))
                    .raw();
            from = prompt.getName() + " (version " + number + ")";
            before = readable(version.getTemplateSource(), version.getChatTemplate(), version.getConfig());
        }
        var to = prompt.getName() + " (code, " + outcome.action() + ")";
        var now = readable(prompt.getTemplateSource(), prompt.getChatTemplate(), prompt.getConfig());
        return UnifiedDiff.of(from, before, to, now);
    }

    /** A content as people read it. */
    private static String readable(String text, ChatTemplate chat, VersionConfig config) {
        var result = new StringBuilder(text);
        var printer = TextFormat.printer().escapingNonAscii(false);
        chat.getEntriesList()
                .forEach(entry -> result.append(
                        entry.hasMessage()
                                ? printer.printToString(entry.getMessage())
                                : "placeholder: " + entry.getPlaceholder() + "\n"));
        if (!config.equals(VersionConfig.getDefaultInstance())) {
            result.append(result.isEmpty() || result.charAt(result.length() - 1) == '\n' ? "" : "\n")
                    .append("config:\n")
                    .append(printer.printToString(config));
        }
        return result.toString();
    }
}
