package dev.promptledger.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.promptledger.v1.TemplateFormat;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CodePromptsTest {
    /** A user's own. */
    static final class Prompts {
        public static final String WELCOME = "Hello {{name}}";
        static final String FAREWELL = "Good bye {{name}}";
        static final int RETRIES = 3;
        private static final String PRIVATE = "not a prompt";
        final String instance = PRIVATE;
    }

    interface Texts {
        String WELCOME = "Hello {{name}}";
    }

    private static final List<CodePrompt> BOTH =
            List.of(CodePrompt.of("WELCOME", "Hello {{name}}"), CodePrompt.of("FAREWELL", "Good bye {{name}}"));

    @Test
    void aClassAnInterfaceAndAMapSayTheSame() {
        assertEquals(BOTH, CodePrompts.of(Prompts.class));
        assertEquals(BOTH.subList(0, 1), CodePrompts.of(Texts.class));
        var map = new LinkedHashMap<String, String>();
        map.put("WELCOME", Prompts.WELCOME);
        map.put("FAREWELL", Prompts.FAREWELL);
        assertEquals(BOTH, CodePrompts.of(map));
        assertEquals("WELCOME", BOTH.get(0).name());
        assertEquals("not a prompt3", new Prompts().instance + Prompts.RETRIES);
    }

    @Test
    void aFolderHasAPromptInEachFile(@TempDir Path folder) throws IOException {
        Files.createDirectories(folder.resolve("shop"));
        Files.writeString(folder.resolve("shop/greeting.hbs"), "Hi {{name}}\r\n");
        Files.writeString(folder.resolve("old.j2"), "Hi {{ name }}");
        Files.writeString(folder.resolve("notes.rst"), "no prompt");
        Files.writeString(folder.resolve("README"), "no prompt");
        assertEquals(
                List.of(
                        CodePrompt.of("old", "Hi {{ name }}").path("old.j2").opaque(),
                        CodePrompt.of("shop.greeting", "Hi {{name}}\r\n").path("shop/greeting.hbs")),
                CodePrompts.inFolder(folder));
        assertEquals(
                TemplateFormat.TEMPLATE_FORMAT_OPAQUE,
                CodePrompts.inFolder(folder).get(0).raw().getTemplateFormat());
        assertThrows(UncheckedIOException.class, () -> CodePrompts.inFolder(folder.resolve("old.j2")));
    }

    @Test
    void theHashIsThatOfTheLedger() {
        assertEquals(
                "49975a538ca4df085fbad972ff3cb847f99b470972f4c85a505004f10d44afa1",
                CodePrompts.templateHash("Hello {{name}}, welcome to {{company}}!"));
    }
}
