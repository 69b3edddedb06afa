package dev.promptledger.client.internal;

import com.google.protobuf.MessageLite;
import dev.promptledger.client.internal.steps.Failure;
import dev.promptledger.client.internal.steps.Failure.Broken;
import dev.promptledger.client.internal.steps.Failure.Refused;
import dev.promptledger.client.internal.steps.MessageBuffer;
import dev.promptledger.client.internal.steps.StreamCall;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/** One server stream, read ahead into a bounded buffer. */
final class ServerStream<A, M> extends ClientCall.Listener<A> {
    private static final int MESSAGES = 1_024;
    private static final long BYTES = 8L * 1024 * 1024;
    /**
     * Of a stream that is not resumed: it is of one execution, whose text is bounded. All of it is read, since what is left
     * unread in the connection would stop other calls over it; beyond this many bytes the server waits.
     */
    private static final long BYTES_OF_EXECUTION = 64L * 1024 * 1024;

    private final ClientCall<?, A> call;
    private final StreamCall<?, A, M> asked;
    private final SentFlag sent;
    private final boolean overflows;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final MessageBuffer<A> buffer;
    /** How it ended; null until it has. */
    private Failure end;
    /** No message was asked for, since the buffer is full. */
    private boolean isHeld;

    private ServerStream(ClientCall<?, A> call, StreamCall<?, A, M> asked, SentFlag sent, boolean overflows) {
        this.call = call;
        this.asked = asked;
        this.sent = sent;
        this.overflows = overflows;
        this.buffer = overflows
                ? new MessageBuffer<>(MESSAGES, BYTES)
                : new MessageBuffer<>(Integer.MAX_VALUE, BYTES_OF_EXECUTION);
    }

    /** {@code overflows}: whether it breaks where its buffer is full; else the server waits. */
    static <Q, A, M> ServerStream<A, M> start(
            ClientCall<Q, A> call, StreamCall<Q, A, M> asked, SentFlag sent, boolean overflows) {
        var stream = new ServerStream<>(call, asked, sent, overflows);
        call.start(stream, new Metadata());
        call.request(1);
        call.sendMessage(asked.request());
        call.halfClose();
        return stream;
    }

    /** What was heard of a stream. */
    sealed interface Heard<M> {
        record Message<M>(M message) implements Heard<M> {}

        record Ended<M>(Failure failure) implements Heard<M> {}
    }

    /** The next message, or how the stream ended; null where nothing came in time. */
    Heard<M> get(long nanos) {
        A message;
        lock.lock();
        try {
            var left = nanos;
            while (buffer.isEmpty() && end == null) {
                if (left <= 0) {
                    return null;
                }
                left = changed.awaitNanos(left);
            }
            if (buffer.isEmpty()) {
                return new Heard.Ended<>(end);
            }
            message = buffer.take();
            if (isHeld && buffer.hasRoom(0)) {
                isHeld = false;
                call.request(1);
            }
        } catch (InterruptedException interrupted) {
            throw Transport.interrupted();
        } finally {
            lock.unlock();
        }
        return new Heard.Message<>(asked.read().apply(message));
    }

    /** Hangs up. */
    void close() {
        finish(Broken.CUT);
        call.cancel("not read any more", null);
    }

    @Override
    public void onMessage(A message) {
        var size = message instanceof MessageLite sized ? sized.getSerializedSize() : 0;
        lock.lock();
        try {
            if (end != null) {
                return;
            }
            if (!buffer.hasRoom(size) && overflows) {
                end = Broken.OVERFLOW;
                call.cancel("read too slowly", null);
            } else {
                buffer.put(message, size);
                isHeld = !overflows && !buffer.hasRoom(0);
                if (!isHeld) {
                    call.request(1);
                }
            }
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
        finish(status.isOk() ? Broken.CUT : new Refused(Errors.of(status, trailers, sent.isSet())));
    }

    private void finish(Failure failure) {
        lock.lock();
        try {
            if (end == null) {
                end = failure;
                changed.signalAll();
            }
        } finally {
            lock.unlock();
        }
    }
}
