package dev.promptledger.client.internal;

import dev.promptledger.client.errors.InvalidOptionsException;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.shaded.io.netty.channel.ChannelOption;
import java.util.concurrent.TimeUnit;

/** Makes channels. */
final class Channels {
    /** HTTP/2 window in bytes, of a stream and of the connection. Streams are read ahead, so none stops the others. */
    private static final int WINDOW = 64 * 1024;
    /** An execution encodes to less than 3 MiB, a page or a change of a prompt to less still. */
    private static final int LARGEST_ANSWER = 8 * 1024 * 1024;

    private Channels() {}

    static ManagedChannel open(Settings settings) {
        var target = settings.target();
        try {
            var builder = NettyChannelBuilder.forAddress(target.host(), target.port(), target.credentials())
                    // Repeats are the layer's alone, those that gRPC holds to be safe too.
                    .disableRetry()
                    .disableServiceConfigLookUp()
                    // A ping every 20 s while calls are open, answered within 10 s.
                    .keepAliveTime(20, TimeUnit.SECONDS)
                    .keepAliveTimeout(10, TimeUnit.SECONDS)
                    .flowControlWindow(WINDOW)
                    .maxInboundMessageSize(LARGEST_ANSWER)
                    .withOption(ChannelOption.CONNECT_TIMEOUT_MILLIS, 10_000)
                    .withOption(ChannelOption.TCP_NODELAY, true)
                    .userAgent("prompt-ledger-java/" + version())
                    // The one that was added first is called last: those of the user see no key.
                    .intercept(new Headers(target.headers()))
                    .intercept(settings.interceptors());
            if (!target.isSecure()) {
                // A proxy would read what is sent in plain text, the key too.
                builder.proxyDetector(address -> null);
            }
            return builder.build();
        } catch (IllegalArgumentException refused) {
            // What gRPC says of it may show what stands in a file of a key.
            throw new InvalidOptionsException("gRPC takes neither of " + target.shown()
                    + " and its certificates and key: is the name one of DNS,"
                    + " and the key one of the certificate, unencrypted?");
        }
    }

    private static String version() {
        var version = Channels.class.getPackage().getImplementationVersion();
        return version == null ? "dev" : version;
    }

    /** Adds the key, the project and the current trace context to each call. */
    private record Headers(Metadata headers) implements ClientInterceptor {
        /** Without the key. */
        @Override
        public String toString() {
            return "Headers";
        }

        @Override
        public <Q, A> ClientCall<Q, A> interceptCall(MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
            return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
                @Override
                public void start(Listener<A> listener, Metadata sent) {
                    sent.merge(headers);
                    TraceContext.inject(sent);
                    super.start(listener, sent);
                }
            };
        }
    }
}
