package dev.promptledger.client.internal;

import dev.promptledger.client.errors.InvalidOptionsException;
import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import io.grpc.Metadata;
import io.grpc.TlsChannelCredentials;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.regex.Pattern;

/**
 * What a channel is made of.
 *
 * @param host a name or an address, without brackets
 * @param port of the server
 * @param isSecure whether it speaks TLS
 * @param credentials whom to trust, and who one is
 * @param headers sent with each call
 * @param shown names the server in errors
 */
public record Target(
        String host, int port, boolean isSecure, ChannelCredentials credentials, Metadata headers, String shown) {
    private static final Pattern URL =
            Pattern.compile("(https?)://(?:\\[([0-9A-Fa-f:.]+)]|([^\\s/?#@:\\[\\]]+))(?::([0-9]{1,5}))?/?");
    private static final Metadata.Key<String> KEY = Metadata.Key.of("x-api-key", Metadata.ASCII_STRING_MARSHALLER);
    private static final Metadata.Key<String> PROJECT =
            Metadata.Key.of("x-ledger-project", Metadata.ASCII_STRING_MARSHALLER);
    private static final Pattern IPV4 = Pattern.compile("[0-9]{1,3}(\\.[0-9]{1,3}){3}");

    public static Target of(Profile profile, boolean allowPlaintext) {
        if (profile.server().contains("@")) {
            // Whatever stands before it may be a password, so nothing of it is shown.
            throw new InvalidOptionsException(
                    "the " + profile.named("address")
                            + " holds a user or a password, which an address of a server does not have:"
                            + " write http://HOST:PORT or https://HOST:PORT, and give the key as apiKey, LEDGER_API_KEY or api_key");
        }
        var url = URL.matcher(profile.server());
        var port = url.matches() && url.group(4) != null ? Integer.parseInt(url.group(4)) : -1;
        if (!url.matches() || port == 0 || port > 65_535) {
            throw new InvalidOptionsException(profile.shown("server", Profile.withoutSecrets(profile.server()))
                    + " is no address of a server; write http://HOST:PORT or https://HOST:PORT");
        }
        var isSecure = url.group(1).equals("https");
        var host = url.group(2) != null ? url.group(2) : url.group(3);
        check(profile, host, isSecure, allowPlaintext);
        return new Target(
                host,
                port >= 0 ? port : isSecure ? 443 : 80,
                isSecure,
                isSecure ? tls(profile) : InsecureChannelCredentials.create(),
                headers(profile),
                profile.shown("server", host));
    }

    private static void check(Profile profile, String host, boolean isSecure, boolean allowPlaintext) {
        var key = profile.apiKey();
        var isLoopback = isLoopback(host);
        var useless = isSecure ? "" : profile.tlsSettings();
        if (!useless.isEmpty()) {
            throw new InvalidOptionsException(
                    useless
                            + " cannot be used with http://, which is not encrypted: write https://, or leave the TLS settings out");
        }
        if (!isSecure && !key.isEmpty() && !allowPlaintext && !isLoopback) {
            throw new InvalidOptionsException("the API key would go to " + profile.shown("server", host)
                    + " unencrypted: write https://, or set allowPlaintext where the way is safe");
        }
        if (key.equals(Profile.DEVELOPMENT_KEY) && !isLoopback) {
            throw new InvalidOptionsException("the development key goes to this machine alone, not to "
                    + profile.shown("server", host) + ": make a key there");
        }
        if (!isHeader(key)) {
            throw new InvalidOptionsException("the " + profile.named("api_key")
                    + " holds characters that no key has; was it copied whole, without line breaks?");
        }
        if (!isHeader(profile.project())) {
            throw new InvalidOptionsException(
                    "the " + profile.named("project") + " holds characters that no name of a project has");
        }
    }

    private static Metadata headers(Profile profile) {
        var headers = new Metadata();
        put(headers, KEY, profile.apiKey());
        put(headers, PROJECT, profile.project());
        return headers;
    }

    private static void put(Metadata headers, Metadata.Key<String> name, String value) {
        if (!value.isEmpty()) {
            headers.put(name, value);
        }
    }

    /** The API key; empty where there is none. */
    String key() {
        return header(KEY);
    }

    /** The project that was named; empty where it is the key's own. */
    String project() {
        return header(PROJECT);
    }

    private String header(Metadata.Key<String> name) {
        var value = headers.get(name);
        return value == null ? "" : value;
    }

    private static ChannelCredentials tls(Profile profile) {
        if ((profile.tlsCert() == null) != (profile.tlsKey() == null)) {
            throw new InvalidOptionsException("tls_cert and tls_key belong together: give both or neither");
        }
        var tls = TlsChannelCredentials.newBuilder();
        try {
            if (profile.tlsCa() != null) {
                tls.trustManager(new ByteArrayInputStream(profile.tlsCa().certificates(profile, "tls_ca")));
            }
            if (profile.tlsCert() != null) {
                tls.keyManager(
                        new ByteArrayInputStream(profile.tlsCert().certificates(profile, "tls_cert")),
                        new ByteArrayInputStream(profile.tlsKey().privateKey(profile, "tls_key")));
            }
        } catch (IOException unreadable) {
            throw new InvalidOptionsException("the certificates cannot be read");
        }
        return tls.build();
    }

    /** Whether a host is {@code localhost} or a loopback address. No name is looked up. */
    static boolean isLoopback(String host) {
        if (host.equalsIgnoreCase("localhost")) {
            return true;
        }
        if (!host.contains(":") && !IPV4.matcher(host).matches()) {
            return false;
        }
        try {
            return InetAddress.getByName(host).isLoopbackAddress();
        } catch (UnknownHostException notAnAddress) {
            return false;
        }
    }

    private static boolean isHeader(String value) {
        return value.chars().allMatch(each -> each >= 0x20 && each < 0x7f) && value.equals(value.strip());
    }

    /** Without the headers. */
    @Override
    public String toString() {
        return "Target[" + host + ":" + port + "]";
    }
}
