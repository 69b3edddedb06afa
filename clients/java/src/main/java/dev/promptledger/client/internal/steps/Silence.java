package dev.promptledger.client.internal.steps;

import java.time.Duration;

/**
 * When a stream counts as broken since nothing comes: the silence of one stream after another, over all waits for a message. Times are
 * nanoseconds.
 */
public final class Silence {
    /** How long to wait at least: a process that stood still has not read yet what came meanwhile. */
    private static final long LEAST_WAIT = Duration.ofSeconds(1).toNanos();
    /** How long a look in vain counts at least, so that looks without any waiting find a silent stream too. */
    private static final long LEAST_LOOK = Duration.ofMillis(50).toNanos();

    private final long limit;
    private long since;
    private long waited;

    public Silence(long limit) {
        this.limit = limit;
    }

    /** A stream was opened, or a message of it was read. */
    public void begins(long now) {
        since = now;
        waited = 0;
    }

    /** How long to wait for the next message before the stream counts as broken. */
    public long left(long now) {
        return Math.max(0, Math.max(limit - (now - since), Math.min(limit, LEAST_WAIT) - waited));
    }

    /** A wait that was given up before was in vain. */
    public void waited(long nanos) {
        waited += Math.max(nanos, LEAST_LOOK);
    }
}
