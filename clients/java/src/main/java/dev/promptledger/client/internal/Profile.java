package dev.promptledger.client.internal;

import dev.promptledger.client.errors.InvalidOptionsException;
import java.util.ArrayList;
import java.util.Locale;
import java.util.Map;
import java.util.function.UnaryOperator;

/**
 * A server, and what opens it. A profile is taken whole or not at all: the explicit arguments, or the environment, or a profile of
 * the file of profiles; where none of them names a server, {@code prompt-ledger dev} on this machine.
 *
 * @param server {@code http://HOST:PORT} or {@code https://HOST:PORT}
 * @param apiKey empty where there is none
 * @param project empty where there is none
 * @param tlsCa whom to trust; null: whom Java trusts
 * @param tlsCert the client's own certificate; null where there is none
 * @param tlsKey its key; null where there is none
 * @param source where it stands, for errors, which show nothing of a file; empty: they may show the values
 */
public record Profile(String server, String apiKey, String project, Pem tlsCa, Pem tlsCert, Pem tlsKey, String source) {
    static final String DEVELOPMENT_SERVER = "http://127.0.0.1:50051";
    /** What {@code prompt-ledger dev} accepts on loopback without any setting. */
    static final String DEVELOPMENT_KEY = "dev-key-change-in-production";

    public Profile {
        apiKey = apiKey == null ? "" : apiKey;
        project = project == null ? "" : project;
    }

    public Profile(String server, String apiKey, String project, Pem tlsCa, Pem tlsCert, Pem tlsKey) {
        this(server, apiKey, project, tlsCa, tlsCert, tlsKey, "");
    }

    /** Says in errors where a part of it stands. */
    String named(String part) {
        return source.isEmpty() ? part : part + " of " + source;
    }

    /** What an encrypted connection alone uses, by the names that the user wrote; empty where there are none. */
    String tlsSettings() {
        var fields = new ArrayList<String>();
        var options = new ArrayList<String>();
        if (tlsCa != null) {
            fields.add("tls_ca");
            options.add("tlsCa (LEDGER_TLS_CA)");
        }
        if (tlsCert != null) {
            fields.add("tls_cert");
        }
        if (tlsKey != null) {
            fields.add("tls_key");
        }
        if (tlsCert != null || tlsKey != null) {
            options.add("tlsClient (LEDGER_TLS_CERT, LEDGER_TLS_KEY)");
        }
        return source.isEmpty() || fields.isEmpty() ? String.join(", ", options) : named(String.join(", ", fields));
    }

    /** Names a value in errors. */
    String shown(String part, String value) {
        return source.isEmpty() ? "`" + value + "`" : "the " + named(part);
    }

    /**
     * The profile that the explicit arguments name, or else the environment, or else the file.
     *
     * @param given the explicit arguments; null where there are none
     * @param profile the name of a profile of the file; null where none was given
     */
    public static Profile find(Profile given, String profile, Map<String, String> environment) {
        if (given != null) {
            if (given.server() == null) {
                throw new InvalidOptionsException(
                        "a key, a project or a certificate without a server: a profile is taken whole, so give the server too");
            }
            return given;
        }
        // An empty variable counts as none.
        if (profile == null && !environment.getOrDefault("LEDGER_SERVER", "").isEmpty()) {
            return of(environment, name -> "LEDGER_" + name.toUpperCase(Locale.ROOT), "");
        }
        var file = new ProfileFile(environment);
        var named = profile != null ? profile : emptyAsNull(environment.get("LEDGER_PROFILE"));
        return file.find(named)
                .map(values -> of(values, UnaryOperator.identity(), file.which(named)))
                .orElseGet(() -> new Profile(DEVELOPMENT_SERVER, DEVELOPMENT_KEY, "", null, null, null));
    }

    private static Profile of(Map<String, String> values, UnaryOperator<String> name, String source) {
        return new Profile(
                values.get(name.apply("server")),
                values.get(name.apply("api_key")),
                values.get(name.apply("project")),
                Pem.named(name.apply("tls_ca"), values.get(name.apply("tls_ca"))),
                Pem.named(name.apply("tls_cert"), values.get(name.apply("tls_cert"))),
                Pem.named(name.apply("tls_key"), values.get(name.apply("tls_key"))),
                source);
    }

    static String emptyAsNull(String value) {
        return value == null || value.isEmpty() ? null : value;
    }

    /** An address as it may be shown: without what may be a password or a key. */
    public static String withoutSecrets(String server) {
        return server == null ? null : server.replaceFirst("(?s).*@", "...@").replaceFirst("(?s)[?#].*", "...");
    }

    /** Without the key. */
    @Override
    public String toString() {
        return "Profile[" + withoutSecrets(server) + ", " + project + "]";
    }
}
