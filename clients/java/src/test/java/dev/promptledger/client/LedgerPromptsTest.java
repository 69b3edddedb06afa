package dev.promptledger.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.promptledger.client.errors.EtagMismatchException;
import dev.promptledger.client.errors.PromptArchivedException;
import dev.promptledger.client.errors.TemplateHashMismatchException;
import dev.promptledger.client.testing.PromptLedgerExtension;
import dev.promptledger.v1.RegisterCodePromptsRequest;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.extension.ExtendWith;

/** Prompts, in the ledger and in code, against a real server. */
@ExtendWith(PromptLedgerExtension.class)
class LedgerPromptsTest {
    private PromptLedger ledger;
    /** The name of this test's own prompt. */
    private String own;

    @BeforeEach
    void begin(PromptLedger client, TestInfo test) {
        ledger = client;
        own = test.getTestMethod().orElseThrow().getName();
    }

    @Test
    void versionsLabelsAndTheChangeLog() {
        var prompts = ledger.prompts();
        var first = prompts.put(
                own,
                "one",
                put -> put.setActive(true)
                        .description("about")
                        .ownerTeam("shop")
                        .tags("b", "a")
                        .createdBy("ada"));
        var second = prompts.put(own, "two", put -> put.labels("staging").note("shorter"));
        assertTrue(
                first.activated() && second.versionChange() && second.warnings().isEmpty());
        assertEquals(Map.of("staging", 2), second.prompt().labels());
        assertEquals("shorter", second.version().note());
        assertThrows(
                EtagMismatchException.class,
                () -> prompts.activate(
                        own, 2, write -> write.etag(first.prompt().etag())));
        var active = prompts.activate(
                own, 2, write -> write.etag(second.prompt().etag()).createdBy("ada"));
        assertEquals(OptionalInt.of(2), active.activeVersion());
        assertEquals("two", active.version().orElseThrow().template());
        var labelled = prompts.label(own, "production", 1);
        assertEquals(Map.of("production", 1, "staging", 2), labelled.labels());
        assertEquals(1, labelled.version().orElseThrow().number());
        assertEquals(Map.of("production", 1), prompts.unlabel(own, "staging").labels());
        var version =
                prompts.version(own, selector -> selector.label("production").minRevision(second.revision()));
        assertEquals("one", version.template());
        assertEquals(VersionStatus.ACTIVE, version.status());
        assertEquals("ada", version.createdBy());
        assertEquals(List.of("production"), version.labels());
        assertEquals(TemplateFormat.HANDLEBARS, version.templateFormat());
        assertEquals(version, prompts.version(own, selector -> selector.checksumHash(version.checksumHash())));
        assertEquals(2, prompts.version(own).number());
        assertTrue(version.createdAt().isBefore(Instant.now().plusSeconds(60)));
        assertEquals(
                List.of(2, 1),
                prompts.versions(own).pageSize(1).stream()
                        .map(PromptVersion::number)
                        .toList());
        ledger.run(own, Map.of(), run -> run.label("production"));
        assertEquals(
                List.of(0L, 1L),
                prompts.history(own, PromptMode.FULL).stream()
                        .map(each -> each.executionCount().orElseThrow())
                        .toList());
        var changes =
                prompts.changes(own, ChangeKind.ACTIVATED, ChangeKind.LABEL_SET, ChangeKind.LABEL_REMOVED).stream()
                        .toList();
        assertEquals(
                List.of(
                        ChangeKind.LABEL_REMOVED,
                        ChangeKind.LABEL_SET,
                        ChangeKind.ACTIVATED,
                        ChangeKind.LABEL_SET,
                        ChangeKind.ACTIVATED),
                changes.stream().map(PromptChange::kind).toList());
        var activation = changes.get(2);
        assertEquals("ada 1 2", String.join(" ", activation.createdBy(), activation.from(), activation.to()));
        assertTrue(activation.revision() > second.revision() && activation.at().isAfter(Instant.EPOCH));
        assertNotEquals("", activation.keyName() + activation.raw().getKeyId() + "x");
        assertTrue(prompts.changes().stream()
                .anyMatch(change -> change.promptName().equals(own)));
        var got = prompts.get(own, second.revision());
        assertEquals("about shop", got.description() + " " + got.ownerTeam());
        assertEquals(PromptMode.FULL, got.mode());
        assertEquals(List.of("b", "a"), got.tags());
        assertEquals(2, got.latestVersion());
        assertTrue(got.revision() > 0 && !got.updatedAt().isBefore(got.createdAt()));
        assertEquals("Prompt[" + own + "]", got.toString());
        var batch = prompts.batchGet(List.of(own, "nobody"), "production", second.revision());
        assertEquals(batch, prompts.batchGet(List.of(own, "nobody"), "production"));
        assertEquals(1, batch.found().get(0).version().orElseThrow().number());
        assertEquals(List.of("nobody"), batch.missing());
        assertEquals(
                2,
                prompts.batchGet(List.of(own))
                        .found()
                        .get(0)
                        .version()
                        .orElseThrow()
                        .number());
    }

    @Test
    void anArchivedPromptIsTakenOut() {
        var prompts = ledger.prompts();
        prompts.put(
                own, "one", put -> put.setActive(true).ownerTeam(own).tags(own).labels("production"));
        assertEquals(
                List.of(own),
                prompts
                        .list(filter -> filter.namePrefix(own)
                                .mode(PromptMode.FULL)
                                .ownerTeam(own)
                                .tag(own)
                                .label("production")
                                .query(own))
                        .stream()
                        .map(Prompt::name)
                        .toList());
        assertTrue(prompts.archive(own).archivedAt().isPresent());
        assertTrue(prompts.list().stream().noneMatch(prompt -> prompt.name().equals(own)));
        assertTrue(prompts.list(filter -> filter.includeArchived(true)).stream()
                .anyMatch(prompt -> prompt.name().equals(own)));
        assertThrows(PromptArchivedException.class, () -> ledger.run(own, Map.of()));
        assertTrue(prompts.unarchive(own).archivedAt().isEmpty());
    }

    @Test
    void aChatIsRenderedWithItsHistory() {
        var chat = List.<ChatEntry>of(
                ChatMessage.system("Be {{how}}."), new Placeholder("history"), ChatMessage.user("{{q}}"));
        ledger.prompts()
                .put(
                        own,
                        null,
                        put -> put.chat(chat)
                                .setActive(true)
                                .config(config -> config.params(params -> params.setTemperature(0))
                                        .model("echo/echo")
                                        .tools(new Tool("weather", "", "{\"type\": \"object\"}"))
                                        .toolChoice(ToolChoice.AUTO)
                                        .responseFormat(
                                                ResponseFormat.jsonSchema("answer", "{\"type\": \"object\"}", false))
                                        .custom(Map.of("owner", "ada"))));
        var variables =
                Map.of("how", "exact", "q", "Well?", "history", List.of(Map.of("role", "assistant", "content", "Hi")));
        var rendered = ledger.prompts().render(own, variables);
        assertEquals(
                List.of("system Be exact.", "assistant Hi", "user Well?"),
                rendered.messages().stream()
                        .map(each -> each.role() + " " + each.content())
                        .toList());
        assertEquals(1, rendered.version().orElseThrow().number());
        var version = ledger.prompts().get(own).version().orElseThrow();
        assertEquals(chat, version.chat());
        assertEquals(List.of("how", "history", "q"), version.variables());
        assertEquals("weather", version.config().orElseThrow().getTools(0).getName());
        var draft = ledger.prompts().renderDraft("Hi {{name}}", Map.of("name", "Ada"));
        assertEquals(new Rendered("Hi Ada", List.of(), false, java.util.Optional.empty()), draft);
        var messages = ledger.prompts()
                .renderDraft(List.of(ChatMessage.assistant("Hi")), Map.of())
                .messages();
        assertEquals(List.of(ChatMessage.assistant("Hi")), messages);
        assertEquals(List.of(), messages.get(0).toolCalls());
        assertEquals("", messages.get(0).toolCallId());
    }

    @Test
    void promptsOfCode() {
        var registration = ledger.registerCodePrompts(
                CodePrompts.of(Map.of(own, "Hello {{name}}")),
                options -> options.source("shop", "4f2a9c1").createdBy("ci"));
        assertEquals(RegistrationAction.NEW, registration.registered().get(0).action());
        assertEquals(1, registration.exitCode());
        assertEquals(
                0,
                ledger.registerCodePrompts(CodePrompts.of(Map.of(own, "Hello {{name}}")))
                        .exitCode());
        var dry = ledger.registerCodePrompts(
                CodePrompts.of(Map.of(own, "Bye {{name}}")), options -> options.dryRun(true));
        assertEquals("""
                --- promptsOfCode (version 1)
                +++ promptsOfCode (code, UPDATED)
                @@ -1 +1 @@
                -Hello {{name}}
                \\ No newline at end of file
                +Bye {{name}}
                \\ No newline at end of file
                """, dry.diff());
        // Another release registers another text meanwhile.
        ledger.raw()
                .code()
                .registerCodePrompts(RegisterCodePromptsRequest.newBuilder()
                        .addPrompts(CodePrompt.of(own, "Good day {{name}}").raw())
                        .build());
        var variables = Map.of("name", "Ada");
        for (var ran : List.of(
                ledger.execute(own, variables),
                ledger.run(own, variables),
                ledger.stream(own, variables).result(),
                ledger.submit(own, variables).result(Duration.ofSeconds(30)))) {
            assertEquals("Hello Ada", ran.renderedPrompt());
            assertEquals(1, ran.versionNumber());
        }
        var wrong = List.of(CodePrompt.of(own, "Hi").templateHash("00".repeat(32)));
        assertThrows(TemplateHashMismatchException.class, () -> ledger.registerCodePrompts(wrong));
        var opaque = ledger.registerCodePrompts(List.of(CodePrompt.of(own + "-jinja", "Hi {{ name }}")
                .opaque()
                .labels("production")
                .description("greets")
                .ownerTeam("shop")
                .note("first")
                .config(config -> config.model("echo/echo"))));
        assertEquals(1, opaque.registered().get(0).version());
        var sent = ledger.execute(own + "-jinja", null, run -> run.messages(ChatMessage.user("Hi Ada")));
        assertEquals("Hi Ada", sent.raw().getMessages(0).getContent());
    }

    @Test
    void aDryRunShowsChatsAndConfigs() {
        var chat = CodePrompt.of(own, List.of(ChatMessage.system("Be exact."), new Placeholder("history")))
                .config(config -> config.params(params -> params.setTemperature(0.5)));
        var diff = ledger.registerCodePrompts(List.of(chat), options -> options.dryRun(true))
                .diff();
        assertEquals("""
                --- /dev/null
                +++ aDryRunShowsChatsAndConfigs (code, NEW)
                @@ -0,0 +1,7 @@
                +role: "system"
                +content: "Be exact."
                +placeholder: history
                +config:
                +params {
                +  temperature: 0.5
                +}
                """, diff);
    }

    @Test
    void aCacheFollowsAnActivationAndALabel() {
        ledger.prompts().put(own, "one", put -> put.setActive(true));
        try (var cache = ledger.promptCache(options -> options.names(own)).synced()) {
            assertEquals("one", cache.get(own).orElseThrow().template());
            var written =
                    ledger.prompts().put(own, "two", put -> put.setActive(true).labels("production"));
            cache.reached(written.revision(), Duration.ofSeconds(60));
            assertEquals("two", cache.get(own).orElseThrow().template());
            assertEquals("two", cache.get(own, "production").orElseThrow().template());
        }
    }
}
