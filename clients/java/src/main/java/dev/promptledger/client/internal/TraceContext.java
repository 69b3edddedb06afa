package dev.promptledger.client.internal;

import io.grpc.Metadata;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.Context;

/** The current trace context of OpenTelemetry, where its API is on the class path. */
final class TraceContext {
    private static final boolean IS_THERE = isThere("io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator");

    private TraceContext() {}

    /** Adds the headers of the current span, in the form of W3C; none where there is no span. */
    static void inject(Metadata headers) {
        if (IS_THERE) {
            OpenTelemetry.inject(headers);
        }
    }

    static boolean isThere(String className) {
        try {
            Class.forName(className, false, TraceContext.class.getClassLoader());
            return true;
        } catch (ClassNotFoundException | LinkageError missing) {
            return false;
        }
    }

    /** Loaded where the API is there. The global instance is not asked for: whoever asks first would fix it. */
    private static final class OpenTelemetry {
        private static void inject(Metadata headers) {
            W3CTraceContextPropagator.getInstance().inject(Context.current(), headers, (carrier, name, value) -> {
                if (carrier != null) {
                    var key = Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
                    carrier.discardAll(key);
                    carrier.put(key, value);
                }
            });
        }
    }
}
