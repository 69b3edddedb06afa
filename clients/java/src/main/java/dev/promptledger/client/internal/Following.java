package dev.promptledger.client.internal;

import dev.promptledger.client.errors.DeadlineExceededException;
import dev.promptledger.client.errors.ErrorDetails;
import dev.promptledger.client.internal.ServerStream.Heard;
import dev.promptledger.client.internal.steps.Failure.Broken;
import dev.promptledger.client.internal.steps.Machine;
import dev.promptledger.client.internal.steps.Next;
import dev.promptledger.client.internal.steps.Silence;
import dev.promptledger.client.internal.steps.StreamReader;
import io.grpc.Status;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;

/**
 * The I/O of a watch: opens streams, reads them and waits, as its machine decides. One thread reads; any may close it.
 *
 * @param <M> a message
 * @param <U> an update
 */
public final class Following<M, U> implements AutoCloseable {
    private final Transport transport;
    private final StreamReader<M, U> reader;
    private final Machine<M, U> machine;
    private final Silence silence;
    /** Completed when it is over, or was closed. */
    private final CompletableFuture<Void> over = new CompletableFuture<>();

    private volatile ServerStream<?, M> stream;
    /** When the next stream may be opened, by {@link System#nanoTime()}; not used before the first one has broken. */
    private long opensAt;

    private boolean hasBroken;

    /** {@code patience}: in nanoseconds; {@link Long#MAX_VALUE} has no end. */
    public Following(Transport transport, StreamReader<M, U> reader, long patience) {
        this.transport = transport;
        this.reader = reader;
        this.machine = new Machine<>(reader, patience);
        this.silence = new Silence(transport.settings().silence());
    }

    /** The next update; null at the end. */
    public U next() {
        return next(Long.MAX_VALUE);
    }

    /**
     * The next update; null at the end.
     *
     * @param timeout in nanoseconds; {@link Long#MAX_VALUE} has no end
     * @throws DeadlineExceededException where none came in time; it can be called again
     */
    public U next(long timeout) {
        var began = System.nanoTime();
        var updates = machine.updates();
        while (updates.isEmpty()) {
            if (over.isDone()) {
                return null;
            }
            var left = timeout == Long.MAX_VALUE ? timeout : timeout - (System.nanoTime() - began);
            if (!stepOrFail(left)) {
                throw new DeadlineExceededException(
                        ErrorDetails.of(Status.Code.DEADLINE_EXCEEDED, "nothing came in time"));
            }
        }
        return updates.remove();
    }

    private boolean stepOrFail(long left) {
        try {
            return step(left);
        } catch (RuntimeException error) {
            close();
            // Nothing follows an error.
            machine.updates().clear();
            throw error;
        }
    }

    /** False where the time was over before anything happened. */
    private boolean step(long left) {
        var present = stream;
        if (present == null) {
            if (!waitToOpen(left)) {
                return false;
            }
            if (over.isDone()) {
                return true;
            }
            present = transport.open(reader.ask(), reader.resumes());
            stream = present;
            silence.begins(System.nanoTime());
            machine.opened();
        }
        if (over.isDone()) {
            // Closed by another thread meanwhile.
            dropStream();
            return true;
        }
        var began = System.nanoTime();
        var silent = silence.left(began);
        var wait = Math.min(silent, Math.max(left, 0));
        var heard = present.get(wait);
        transport.checkOpen();
        if (heard == null && wait < silent) {
            silence.waited(System.nanoTime() - began);
            return false;
        }
        act(heard);
        return true;
    }

    private void act(Heard<M> heard) {
        if (over.isDone()) {
            return;
        }
        var moment = Transport.moment();
        Next next;
        if (heard instanceof Heard.Message<M> message) {
            silence.begins(moment.now());
            next = machine.took(message.message(), moment);
        } else if (heard instanceof Heard.Ended<M> ended) {
            next = machine.failed(ended.failure(), moment);
        } else {
            next = machine.failed(Broken.SILENT, moment);
        }
        if (next instanceof Next.Over) {
            close();
        } else if (next instanceof Next.Reopen reopen) {
            var method = reader.ask().method().getBareMethodName();
            var delay = Duration.ofNanos(reopen.delay()).toMillis();
            transport.settings().logger().log(Level.INFO, method + ": broke, again in " + delay + " ms");
            hasBroken = true;
            opensAt = moment.now() + reopen.delay();
            dropStream();
        }
    }

    private boolean waitToOpen(long left) {
        var delay = hasBroken ? Math.max(opensAt - System.nanoTime(), 0) : 0;
        var wait = Math.min(delay, Math.max(left, 0));
        if (wait > 0) {
            transport.sleep(wait, over);
        }
        transport.checkOpen();
        return wait == delay;
    }

    /** Hangs up. What has arrived can still be read. */
    @Override
    public void close() {
        over.complete(null);
        dropStream();
    }

    private void dropStream() {
        var present = stream;
        stream = null;
        if (present != null) {
            present.close();
        }
    }
}
