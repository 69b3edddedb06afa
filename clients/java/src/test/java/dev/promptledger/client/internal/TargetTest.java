package dev.promptledger.client.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.promptledger.client.errors.InvalidOptionsException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.IntFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TargetTest {
    private static final String SECRET = "pl_very-secret";

    private static Target of(String server, String key) {
        return Target.of(new Profile(server, key, "", null, null, null), false);
    }

    private static String refusal(Profile profile) {
        var error = assertThrows(InvalidOptionsException.class, () -> Target.of(profile, false));
        assertFalse(error.getMessage().contains(SECRET), error.getMessage());
        return error.getMessage();
    }

    @ParameterizedTest
    @CsvSource({
        "http://127.0.0.1:50051, 127.0.0.1, 50051, false",
        "http://localhost, localhost, 80, false",
        "https://ledger.example.com, ledger.example.com, 443, true",
        "https://ledger.example.com:8443/, ledger.example.com, 8443, true",
        "http://[::1]:50051, ::1, 50051, false",
    })
    void anAddressIsTakenApart(String server, String host, int port, boolean secure) {
        var target = of(server, "");
        assertEquals(host, target.host());
        assertEquals(port, target.port());
        assertEquals(secure, target.isSecure());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "127.0.0.1:50051",
                "http://",
                "ftp://a",
                "http://a:0",
                "http://a:65536",
                "http://a b",
                "http://a/path",
                "http://a?pl_very-secret",
                "http://a#pl_very-secret",
                "",
            })
    void whatIsNoAddressIsRefused(String server) {
        assertTrue(refusal(new Profile(server, SECRET, "", null, null, null)).contains("is no address of a server"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "http://ada:pl_very-secret@127.0.0.1:1",
                "https://ada:pl_very-secret@ledger.example.com",
                "http://pl_very-secret@localhost",
                "http://:pl_very-secret@localhost:1",
                "http://ada:a/pl_very-secret@localhost",
                "http://ada:a?pl_very-secret@localhost",
                "http://ada:%zzpl_very-secret@localhost",
                "ada:pl_very-secret@localhost:1",
                "http:\\\\ada:pl_very-secret@localhost",
            })
    void anAddressWithAUserOrAPasswordIsRefusedWhereverItStandsAndNotShown(String server, @TempDir Path folder)
            throws IOException {
        var file = Files.writeString(folder.resolve("config.toml"), "[profiles.default]\nserver = '" + server + "'\n");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
        for (var profile : List.of(
                Profile.find(new Profile(server, "", "", null, null, null), null, Map.of()),
                Profile.find(null, null, Map.of("LEDGER_SERVER", server)),
                Profile.find(null, null, Map.of("LEDGER_CONFIG", file.toString())))) {
            var told = refusal(profile);
            assertTrue(told.contains("LEDGER_API_KEY or api_key"), told);
            assertFalse(told.contains("ada"), told);
            assertFalse(profile.toString().contains(SECRET), profile.toString());
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "server = 'KEY'",
                "server = 'http://KEY.example.com'\napi_key = 'k'",
                "server = 'http://localhost'\nproject = 'KEY\u00e4'",
                "server = 'http://localhost'\napi_key = 'KEY\u00e4'",
                "server = 'https://localhost'\ntls_ca = 'KEY'",
                "server = 'https://localhost'\ntls_cert = 'KEY'\ntls_key = 'KEY'",
            })
    void noErrorShowsWhatStandsInTheFile(String entry, @TempDir Path folder) throws IOException {
        var content = "[profiles.default]\n" + entry.replace("KEY", SECRET) + "\n";
        var file = Files.writeString(folder.resolve("config.toml"), content);
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
        var told = refusal(Profile.find(null, null, Map.of("LEDGER_CONFIG", file.toString())));
        assertTrue(told.contains("of the profile `default` of " + file), told);
    }

    @ParameterizedTest
    @CsvSource({
        "localhost, true",
        "LOCALHOST, true",
        "127.0.0.1, true",
        "127.8.8.8, true",
        "::1, true",
        "::ffff:127.0.0.1, true",
        "128.0.0.1, false",
        "0.0.0.0, false",
        "::, false",
        "::ffff:10.0.0.1, false",
        "localhost.example.com, false",
        "127.0.0.1.example.com, false",
        "127.1, false",
        "999.0.0.1, false",
    })
    void loopbackIsThisMachineAlone(String host, boolean isLoopback) {
        assertEquals(isLoopback, Target.isLoopback(host));
    }

    @Test
    void aKeyGoesUnencryptedToThisMachineAlone() {
        assertTrue(refusal(new Profile("http://ledger.example.com", SECRET, "", null, null, null))
                .contains("`ledger.example.com`"));
        assertEquals("ledger.example.com", of("http://ledger.example.com", "").host());
        assertEquals(
                "10.0.0.1",
                Target.of(new Profile("http://10.0.0.1", SECRET, "", null, null, null), true)
                        .host());
        var development = new Profile("https://ledger.example.com", Profile.DEVELOPMENT_KEY, "", null, null, null);
        assertTrue(refusal(development).contains("make a key there"));
    }

    @ParameterizedTest
    @CsvSource({
        "tls_ca, tlsCa (LEDGER_TLS_CA)",
        "tls_cert, 'tlsClient (LEDGER_TLS_CERT, LEDGER_TLS_KEY)'",
        "tls_key, 'tlsClient (LEDGER_TLS_CERT, LEDGER_TLS_KEY)'",
        "'tls_cert, tls_key', 'tlsClient (LEDGER_TLS_CERT, LEDGER_TLS_KEY)'",
        "'tls_ca, tls_cert, tls_key', 'tlsCa (LEDGER_TLS_CA), tlsClient (LEDGER_TLS_CERT, LEDGER_TLS_KEY)'",
    })
    void tlsSettingsAreRefusedWithHttp(String fields, String options, @TempDir Path folder) throws IOException {
        var names = List.of(fields.split(", "));
        for (var server : List.of("http://localhost", "http://ledger.example.com")) {
            var entries = new StringBuilder("[profiles.default]\nserver = '" + server + "'\n");
            var variables = new HashMap<>(Map.of("LEDGER_SERVER", server, "LEDGER_API_KEY", SECRET));
            for (var name : names) {
                entries.append(name).append(" = '").append(SECRET).append("'\n");
                variables.put("LEDGER_" + name.toUpperCase(Locale.ROOT), "missing.pem");
            }
            var file = Files.writeString(folder.resolve("config.toml"), entries);
            Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
            IntFunction<Pem> pem = index ->
                    names.contains(List.of("tls_ca", "tls_cert", "tls_key").get(index)) ? Pem.of(new byte[0]) : null;
            var explicit = new Profile(server, SECRET, "", pem.apply(0), pem.apply(1), pem.apply(2));
            var ofFile = Profile.find(null, null, Map.of("LEDGER_CONFIG", file.toString()));
            var refused = " cannot be used with http://";
            assertTrue(refusal(explicit).startsWith(options + refused), refusal(explicit));
            assertTrue(refusal(Profile.find(null, null, variables)).startsWith(options + refused));
            var named = fields + " of the profile `default` of " + file;
            assertTrue(refusal(ofFile).startsWith(named + refused), refusal(ofFile));
            assertThrows(InvalidOptionsException.class, () -> Target.of(explicit, true));
        }
    }

    @Test
    void whatIsNoHeaderIsNoKeyAndNoProject() {
        assertTrue(refusal(new Profile("http://localhost", SECRET + "\n", "", null, null, null))
                .contains("copied whole"));
        assertTrue(refusal(new Profile("http://localhost", SECRET + "ä", "", null, null, null))
                .contains("api_key"));
        assertTrue(refusal(new Profile("http://localhost", SECRET, "a\u0001", null, null, null))
                .contains("project"));
    }

    @Test
    void certificatesAndKeysAreLookedAt(@TempDir Path folder) throws IOException {
        var garbage = Pem.of("garbage".getBytes(StandardCharsets.US_ASCII));
        var missing = Pem.file(folder.resolve("missing.pem"));
        assertTrue(refusal(new Profile("https://a", SECRET, "", garbage, null, null))
                .contains("tls_ca holds no certificate"));
        assertTrue(refusal(new Profile("https://a", SECRET, "", missing, null, null))
                .contains("cannot be read"));
        assertTrue(refusal(new Profile("https://a", SECRET, "", null, garbage, null))
                .contains("belong together"));
        var certificate = Pem.of(TestCertificates.CERTIFICATE.getBytes(StandardCharsets.US_ASCII));
        assertTrue(refusal(new Profile("https://a", SECRET, "", null, certificate, garbage))
                .contains("tls_key holds no private key"));
        var file = folder.resolve("key.pem");
        Files.writeString(file, TestCertificates.KEY);
        var whole = new Profile("https://a", SECRET, "", certificate, certificate, Pem.file(file));
        assertTrue(Target.of(whole, false).isSecure());
        assertEquals("Pem[bytes]", certificate.toString());
    }
}
