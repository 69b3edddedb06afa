package dev.promptledger.client.internal;

import io.grpc.ClientStreamTracer;
import io.grpc.Metadata;

/** Whether a call was written to a connection; before that, its server cannot have begun with it. */
final class SentFlag extends ClientStreamTracer.Factory {
    private volatile boolean sent;

    boolean isSet() {
        return sent;
    }

    @Override
    public ClientStreamTracer newClientStreamTracer(ClientStreamTracer.StreamInfo info, Metadata headers) {
        return new ClientStreamTracer() {
            @Override
            public void outboundHeaders() {
                sent = true;
            }
        };
    }
}
