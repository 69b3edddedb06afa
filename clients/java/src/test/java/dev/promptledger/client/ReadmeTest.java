package dev.promptledger.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.promptledger.client.testing.DevServer;
import dev.promptledger.client.testing.PromptLedgerExtension;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The programs of the README are compiled and run. */
@ExtendWith(PromptLedgerExtension.class)
class ReadmeTest {
    private static final Pattern PROGRAM = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);
    private static final Pattern MAIN = Pattern.compile("(?m)^(?:public )?(?:final )?class (\\w+)");

    static Stream<String> programs() throws IOException {
        return PROGRAM.matcher(Files.readString(Path.of("README.md")))
                .results()
                .map((MatchResult found) -> found.group(1));
    }

    @ParameterizedTest
    @MethodSource("programs")
    void aProgramOfTheReadmeRuns(String program, @TempDir Path folder, DevServer server) throws Exception {
        var name = MAIN.matcher(program);
        assertTrue(name.find());
        var source = Files.writeString(folder.resolve(name.group(1) + ".java"), program);
        var classPath = System.getProperty("java.class.path");
        var compiled = ToolProvider.getSystemJavaCompiler()
                .run(
                        null,
                        null,
                        null,
                        "-proc:none",
                        "-Xlint:all,-processing,-path,-classfile",
                        "-Werror",
                        "-cp",
                        classPath,
                        "-d",
                        folder.toString(),
                        source.toString());
        assertEquals(0, compiled);
        if (!program.contains("static void main(")) {
            // A test, as this one is: to compile is enough.
            return;
        }
        Files.writeString(Files.createDirectories(folder.resolve("prompts")).resolve("greeting.hbs"), "Hi {{name}}");
        var java = Path.of(System.getProperty("java.home"), "bin/java").toString();
        var command = List.of(java, "-XX:TieredStopAtLevel=1", "-cp", folder + ":" + classPath, name.group(1));
        var builder = new ProcessBuilder(command).directory(folder.toFile()).redirectErrorStream(true);
        builder.environment().put("LEDGER_SERVER", server.server());
        builder.environment().put("LEDGER_API_KEY", server.apiKey());
        var process = builder.start();
        var output = new String(process.getInputStream().readAllBytes());
        assertEquals(0, process.waitFor(), output);
        assertTrue(!output.isBlank());
    }
}
