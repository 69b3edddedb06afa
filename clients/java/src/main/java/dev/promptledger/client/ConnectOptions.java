package dev.promptledger.client;

import dev.promptledger.client.internal.Pem;
import dev.promptledger.client.internal.Profile;
import io.grpc.ClientInterceptor;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * How to connect. With a server, nothing of the address and the key is taken from the environment or a file. Its text shows no
 * key.
 */
public final class ConnectOptions {
    String server;
    String apiKey;
    String project;
    Pem tlsCa;
    Pem tlsCert;
    Pem tlsKey;
    String profile;
    boolean allowPlaintext;
    boolean trackingOnly;
    Duration timeout = Duration.ofSeconds(30);
    Duration patience = Duration.ofMinutes(5);
    Duration silence = Duration.ofSeconds(45);
    final List<ClientInterceptor> interceptors = new ArrayList<>();
    System.Logger logger;

    ConnectOptions() {}

    /** {@code http://HOST:PORT} or {@code https://HOST:PORT}; without a port, 80 or 443. */
    public ConnectOptions server(String server) {
        this.server = server;
        return this;
    }

    public ConnectOptions apiKey(String apiKey) {
        this.apiKey = apiKey;
        return this;
    }

    /** For system keys alone, which open all projects. */
    public ConnectOptions project(String project) {
        this.project = project;
        return this;
    }

    /**
     * The file, in PEM form, of the certificates that vouch for the server's; those that Java trusts where there is none. Refused
     * with {@code http}.
     */
    public ConnectOptions tlsCa(Path file) {
        this.tlsCa = Pem.file(file);
        return this;
    }

    /** The certificates that vouch for the server's, in PEM form. Refused with {@code http}. */
    public ConnectOptions tlsCa(byte[] pem) {
        this.tlsCa = Pem.of(pem);
        return this;
    }

    /**
     * The files, in PEM form, of the client's own certificate and its key (PKCS #8), for servers that ask for one. Refused with
     * {@code http}.
     */
    public ConnectOptions tlsClient(Path certificate, Path key) {
        this.tlsCert = Pem.file(certificate);
        this.tlsKey = Pem.file(key);
        return this;
    }

    /** The client's own certificate and its key (PKCS #8), in PEM form. Refused with {@code http}. */
    public ConnectOptions tlsClient(byte[] certificate, byte[] key) {
        this.tlsCert = Pem.of(certificate);
        this.tlsKey = Pem.of(key);
        return this;
    }

    /** A profile of the file of profiles, instead of the one that the environment says. */
    public ConnectOptions profile(String profile) {
        this.profile = profile;
        return this;
    }

    /** Whether the key may go over {@code http} to another machine, where anyone on the way can read it. */
    public ConnectOptions allowPlaintext(boolean allow) {
        this.allowPlaintext = allow;
        return this;
    }

    /** Whether all prompts are in code: {@code run}, {@code stream} and {@code submit} then execute such. */
    public ConnectOptions trackingOnly(boolean trackingOnly) {
        this.trackingOnly = trackingOnly;
        return this;
    }

    /**
     * Deadline of calls that answer once, their repeats included; 30 s. {@code run} and {@code execute} have their own.
     */
    public ConnectOptions timeout(Duration timeout) {
        this.timeout = timeout;
        return this;
    }

    /** How long a watch tries again without progress before it gives up; 5 minutes. */
    public ConnectOptions patience(Duration patience) {
        this.patience = patience;
        return this;
    }

    /** How long a stream may be silent before it counts as broken; 45 s. */
    public ConnectOptions silence(Duration silence) {
        this.silence = silence;
        return this;
    }

    /** An interceptor of gRPC around every call; of several, the last one that was added is called first. It sees no key. */
    public ConnectOptions interceptor(ClientInterceptor interceptor) {
        interceptors.add(interceptor);
        return this;
    }

    /** Told of each call at DEBUG and of each repeat at INFO, instead of the logger {@code dev.promptledger.client}. */
    public ConnectOptions logger(System.Logger logger) {
        this.logger = logger;
        return this;
    }

    @Override
    public String toString() {
        return "ConnectOptions[server=" + Profile.withoutSecrets(server) + ", project=" + project + ", profile="
                + profile + "]";
    }
}
