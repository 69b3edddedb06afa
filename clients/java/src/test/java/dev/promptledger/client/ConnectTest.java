package dev.promptledger.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.promptledger.client.errors.InvalidOptionsException;
import dev.promptledger.client.internal.TestCertificates;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConnectTest {
    private static final String SECRET = "pl_very-secret";

    @Test
    void whatIsNotGivenHasItsDefault() {
        var settings = PromptLedger.settings(new ConnectOptions(), Map.of("LEDGER_SERVER", "http://localhost:1"));
        assertEquals(TimeUnit.SECONDS.toNanos(30), settings.timeout());
        assertEquals(TimeUnit.SECONDS.toNanos(300), settings.patience());
        assertEquals(TimeUnit.SECONDS.toNanos(45), settings.silence());
        assertFalse(settings.trackingOnly());
        assertEquals("dev.promptledger.client", settings.logger().getName());
    }

    @Test
    void aKeyWithoutAServerIsNoProfile() {
        for (var options : new ConnectOptions[] {
            new ConnectOptions().apiKey(SECRET),
            new ConnectOptions().project("shop"),
            new ConnectOptions().tlsCa(new byte[0]),
            new ConnectOptions().tlsClient(new byte[0], new byte[0]),
        }) {
            var error = assertThrows(
                    InvalidOptionsException.class,
                    () -> PromptLedger.settings(options, Map.of("LEDGER_SERVER", "http://localhost:1")));
            assertFalse(error.getMessage().contains(SECRET));
        }
    }

    @Test
    void optionsThatCannotBeUsedAreRefused() {
        assertThrows(
                InvalidOptionsException.class,
                () -> PromptLedger.connect(
                        options -> options.server("http://localhost").silence(Duration.ZERO)));
        assertThrows(
                InvalidOptionsException.class,
                () -> PromptLedger.connect(
                        options -> options.server("http://10.0.0.1").apiKey(SECRET)));
        PromptLedger.connect(options ->
                        options.server("http://10.0.0.1").apiKey(SECRET).allowPlaintext(true))
                .close();
        var error = assertThrows(
                InvalidOptionsException.class,
                () -> PromptLedger.connect(
                        options -> options.server("https://a_b").apiKey(SECRET)));
        assertTrue(error.getMessage().contains("`a_b`"));
        assertThrows(
                InvalidOptionsException.class,
                () -> PromptLedger.connect(options -> options.profile("of-nobody-at-all")));
    }

    @Test
    void certificatesAreTakenAsFilesAndAsBytes(@TempDir Path folder) throws IOException {
        var certificate = Files.writeString(folder.resolve("cert.pem"), TestCertificates.CERTIFICATE);
        var key = Files.writeString(folder.resolve("key.pem"), TestCertificates.KEY);
        PromptLedger.connect(options ->
                        options.server("https://localhost").tlsCa(certificate).tlsClient(certificate, key))
                .close();
        PromptLedger.connect(options -> options.server("https://localhost")
                        .tlsCa(TestCertificates.CERTIFICATE.getBytes(StandardCharsets.US_ASCII))
                        .tlsClient(
                                TestCertificates.CERTIFICATE.getBytes(StandardCharsets.US_ASCII),
                                TestCertificates.KEY.getBytes(StandardCharsets.US_ASCII)))
                .close();
        var broken = TestCertificates.KEY.replace("M", "!");
        var error = assertThrows(
                InvalidOptionsException.class,
                () -> PromptLedger.connect(options -> options.server("https://localhost")
                        .tlsClient(
                                TestCertificates.CERTIFICATE.getBytes(StandardCharsets.US_ASCII),
                                broken.getBytes(StandardCharsets.US_ASCII))));
        assertFalse(
                error.getMessage().contains(broken.lines().skip(1).findFirst().orElseThrow()));
    }

    @Test
    void noTextShowsTheKey() {
        var options = new ConnectOptions().server("http://localhost").apiKey(SECRET);
        assertEquals("ConnectOptions[server=http://localhost, project=null, profile=null]", options.toString());
        assertFalse(PromptLedger.settings(options, Map.of()).toString().contains(SECRET));
        var refused = new ConnectOptions().server("http://ada:" + SECRET + "@localhost");
        assertFalse(refused.toString().contains(SECRET), refused.toString());
        try (var ledger =
                PromptLedger.connect(given -> given.server("http://localhost:1").apiKey(SECRET))) {
            assertEquals("PromptLedger[http://localhost:1]", ledger.toString());
        }
    }
}
