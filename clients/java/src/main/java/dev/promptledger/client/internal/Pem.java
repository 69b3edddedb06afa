package dev.promptledger.client.internal;

import dev.promptledger.client.errors.InvalidOptionsException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;

/** A certificate or a key in PEM form, or the path of a file that has it. Its text shows neither. */
public final class Pem {
    private final Path file;
    private final byte[] content;

    private Pem(Path file, byte[] content) {
        this.file = file;
        this.content = content;
    }

    public static Pem file(Path file) {
        return new Pem(file, null);
    }

    public static Pem of(byte[] content) {
        return new Pem(null, content.clone());
    }

    /** Of the path that a variable or a file of profiles names; null where it names none. */
    static Pem named(String option, String path) {
        if (path == null || path.isEmpty()) {
            return null;
        }
        try {
            return file(Path.of(path));
        } catch (InvalidPathException invalid) {
            throw new InvalidOptionsException(option + " is no path of a file");
        }
    }

    byte[] certificates(Profile profile, String option) {
        var pem = read(profile, option);
        try {
            // gRPC would fail without saying why.
            var found = CertificateFactory.getInstance("X.509").generateCertificates(new ByteArrayInputStream(pem));
            if (!found.isEmpty()) {
                return pem;
            }
        } catch (CertificateException none) {
            // Told below.
        }
        throw new InvalidOptionsException(profile.named(option) + " holds no certificate in PEM form");
    }

    byte[] privateKey(Profile profile, String option) {
        var pem = read(profile, option);
        if (!new String(pem, StandardCharsets.ISO_8859_1).contains("-----BEGIN PRIVATE KEY-----")) {
            throw new InvalidOptionsException(profile.named(option) + " holds no private key in PEM form, as PKCS #8");
        }
        return pem;
    }

    private byte[] read(Profile profile, String option) {
        try {
            return file == null ? content : Files.readAllBytes(file);
        } catch (IOException unreadable) {
            // Of a path that stands in a file of profiles, nothing is shown.
            var path = profile.source().isEmpty() ? ": " + file : "";
            throw new InvalidOptionsException(profile.named(option) + path + " cannot be read");
        }
    }

    @Override
    public String toString() {
        return "Pem[" + (file == null ? "bytes" : file) + "]";
    }
}
