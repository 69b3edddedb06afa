package dev.promptledger.client.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.promptledger.client.errors.InvalidOptionsException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ProfileTest {
    private static final String SECRET = "pl_very-secret";

    @TempDir
    Path folder;

    private Path file;

    @BeforeEach
    void aFile() throws IOException {
        file = folder.resolve("prompt-ledger/config.toml");
        Files.createDirectories(file.getParent());
        write("[profiles.default]\nserver = \"http://a:1\"\napi_key = \"" + SECRET + "\"\n"
                + "[profiles.other]\nserver = \"https://b\"\nproject = \"shop\"\ntls_ca = \"/ca.pem\"\n");
    }

    private void write(String content) throws IOException {
        Files.writeString(file, content);
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
    }

    private static Profile find(String profile, Map<String, String> environment) {
        return Profile.find(null, profile, environment);
    }

    private String refusal(String profile, Map<String, String> environment) {
        var error = assertThrows(InvalidOptionsException.class, () -> find(profile, environment));
        assertFalse(error.getMessage().contains(SECRET));
        return error.getMessage();
    }

    private Map<String, String> named() {
        return Map.of("LEDGER_CONFIG", file.toString());
    }

    @Test
    void explicitArgumentsAreTakenWhole() {
        var given = new Profile("http://x", null, null, null, null, null);
        assertEquals(given, Profile.find(given, null, Map.of("LEDGER_SERVER", "http://y", "LEDGER_API_KEY", SECRET)));
        var keyAlone = new Profile(null, SECRET, null, null, null, null);
        var error = assertThrows(
                InvalidOptionsException.class, () -> Profile.find(keyAlone, null, Map.of("LEDGER_SERVER", "http://y")));
        assertFalse(error.getMessage().contains(SECRET));
    }

    @Test
    void theEnvironmentIsTakenWhole() {
        var environment = Map.of(
                "LEDGER_SERVER", "http://y",
                "LEDGER_PROJECT", "",
                "LEDGER_TLS_CA", "/ca.pem",
                "LEDGER_CONFIG", file.toString());
        var profile = find(null, environment);
        assertEquals("http://y", profile.server());
        assertEquals("", profile.apiKey());
        assertEquals("", profile.project());
        assertEquals("Pem[/ca.pem]", profile.tlsCa().toString());
    }

    @Test
    void aProfileOfTheFileIsTakenWhole() {
        var environment = Map.of("LEDGER_CONFIG", file.toString(), "LEDGER_PROJECT", "ignored", "LEDGER_SERVER", "");
        assertEquals(SECRET, find(null, environment).apiKey());
        assertEquals("", find(null, environment).project());
        assertEquals("shop", find("other", environment).project());
        assertEquals("", find("other", environment).apiKey());
        assertEquals(
                "https://b",
                find("other", Map.of("LEDGER_CONFIG", file.toString(), "LEDGER_SERVER", "http://y"))
                        .server(),
                "one that is asked for wins over the environment");
    }

    @Test
    void theFileHasItsPlace() throws IOException {
        assertEquals(
                "http://a:1",
                find(null, Map.of("XDG_CONFIG_HOME", folder.toString())).server());
        assertEquals(
                "https://b",
                find(null, Map.of("XDG_CONFIG_HOME", folder.toString(), "LEDGER_PROFILE", "other"))
                        .server());
        var home = folder.resolve("home");
        Files.createDirectories(home);
        assertEquals(
                Profile.DEVELOPMENT_SERVER,
                find(null, Map.of("HOME", home.toString())).server());
        Files.createDirectories(home.resolve(".config"));
        Files.move(file.getParent(), home.resolve(".config/prompt-ledger"));
        assertEquals("http://a:1", find(null, Map.of("HOME", home.toString())).server());
    }

    @Test
    void whereNothingNamesAServerItIsTheOneOfDevelopment() throws IOException {
        var profile =
                find(null, Map.of("XDG_CONFIG_HOME", folder.resolve("nowhere").toString()));
        assertEquals(Profile.DEVELOPMENT_SERVER, profile.server());
        assertEquals(Profile.DEVELOPMENT_KEY, profile.apiKey());
        write("[profiles.other]\nserver = \"https://b\"\n");
        var unnamed = Map.of("XDG_CONFIG_HOME", folder.toString(), "LEDGER_CONFIG", "", "LEDGER_PROFILE", "");
        assertEquals(Profile.DEVELOPMENT_SERVER, find(null, unnamed).server(), "empty variables count as none");
    }

    @Test
    void aFileThatIsAskedForHasAProfile() throws IOException {
        write("[profiles.other]\nserver = \"https://b\"\n");
        assertEquals(file + " has no profile `default`", refusal(null, named()));
        var empty = Map.of("LEDGER_CONFIG", file.toString(), "LEDGER_PROFILE", "");
        assertEquals(file + " has no profile `default`", refusal(null, empty));
        var other = Map.of("LEDGER_CONFIG", file.toString(), "LEDGER_PROFILE", "other");
        assertEquals("https://b", find(null, other).server());
        write("");
        assertEquals(file + " has no profile `default`", refusal(null, named()));
    }

    @Test
    void whatIsAskedForByNameAndIsNotThereIsAnError() {
        assertTrue(refusal("third", named()).contains("no profile `third`"));
        var nowhere = Map.of("LEDGER_CONFIG", folder.resolve("nowhere").toString());
        assertTrue(refusal(null, nowhere).contains("there is no"));
        assertTrue(refusal("x", Map.of("XDG_CONFIG_HOME", folder.resolve("no").toString()))
                .contains("`x`"));
    }

    @ParameterizedTest
    @CsvSource({
        "api_key = pl_very-secret, is no TOML at line 2",
        "port = 'x', has something else than",
        "project = 7, table of texts",
        "project = {}, table of texts",
    })
    void aFileThatSaysSomethingElseIsAnErrorWithoutItsKeys(String line, String told) throws IOException {
        write("[profiles.default]\n" + line.replace('\'', '"') + "\nserver = \"http://a\"\n");
        assertTrue(refusal(null, named()).contains(told), refusal(null, named()));
    }

    @ParameterizedTest
    @ValueSource(strings = {"[profiles.default]\napi_key = \"pl_very-secret\"", "[profiles.default]\nserver = \"\""})
    void aProfileNamesAServer(String content) throws IOException {
        write(content);
        var told = "the profile `default` of " + file + " names no server: write server = ";
        assertTrue(refusal(null, named()).contains(told), refusal(null, named()));
    }

    @Test
    void emptyTextsOfAProfileCountAsNone() throws IOException {
        var empty = "api_key = ''\nproject = ''\ntls_ca = ''\ntls_cert = ''\ntls_key = ''\n";
        write("[profiles.default]\nserver = \"http://a\"\n" + empty);
        var profile = find(null, named());
        assertEquals("", profile.apiKey());
        assertEquals("", profile.project());
        assertEquals("", profile.tlsSettings());
    }

    @Test
    void aProfileIsATable() throws IOException {
        write("profiles.default = \"pl_very-secret\"");
        assertTrue(refusal(null, named()).endsWith("is to be a table of texts"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "api_key = 'pl_very-secret'\n[profiles.default]\nserver = 'http://a'\n",
                "api_key = 'pl_very-secret'",
                "profiles = 'pl_very-secret'",
            })
    void aFileHasNothingBesideItsProfiles(String content) throws IOException {
        write(content);
        assertEquals(file + " holds something else than tables [profiles.NAME]", refusal(null, named()));
    }

    @Test
    void aFileThatOthersMayReadIsRefused() throws IOException {
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r-----"));
        assertTrue(refusal(null, named()).contains("chmod 600"));
    }

    @Test
    void aFileThatCannotBeReadIsRefused() throws IOException {
        Files.write(file, new byte[] {(byte) 0xff, 0x20});
        assertTrue(refusal(null, named()).endsWith("is not UTF-8"));
        Files.delete(file);
        Files.createDirectory(file);
        assertTrue(refusal(null, named()).endsWith("cannot be read"));
    }

    @Test
    void aFileOfProfilesIsAFileAndBounded() throws IOException, InterruptedException {
        write("[profiles.default]\nserver = \"http://a\"\n" + "#".repeat(1024 * 1024));
        assertTrue(refusal(null, named()).contains("more than 1 MiB"));
        Files.delete(file);
        var made = new ProcessBuilder("mkfifo", "-m", "600", file.toString()).start();
        assertEquals(0, made.waitFor());
        assertTrue(refusal(null, named()).endsWith("is no file"));
    }

    @Test
    void noTextShowsAKey() {
        var profile = find(null, named());
        assertEquals("Profile[http://a:1, ]", profile.toString());
        assertFalse(Target.of(find(null, Map.of("LEDGER_SERVER", "http://localhost", "LEDGER_API_KEY", SECRET)), false)
                .toString()
                .contains(SECRET));
    }
}
