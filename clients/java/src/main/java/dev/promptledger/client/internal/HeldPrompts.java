package dev.promptledger.client.internal;

import dev.promptledger.client.errors.LedgerException;
import dev.promptledger.client.errors.NotSyncedException;
import dev.promptledger.client.internal.steps.PromptUpdate;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Clock;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;

/** The prompts of a cache, how current they are, and the file that they are kept in. One thread feeds it; any may read. */
public final class HeldPrompts {
    private final PromptTable table = new PromptTable();
    /** Null: none is kept. */
    private final CacheFile file;

    private final Logger logger;
    private final Clock clock;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();

    /** There is something to read: of the server, or of the file. */
    private volatile boolean filled;
    /** Everything that was there has been told by the server. */
    private volatile boolean synced;

    private volatile boolean stale = true;
    /** When the last message came by which nothing was missing; before the first: what the file says, or the beginning. */
    private volatile Instant currentAt;

    private volatile long revision;
    /** Why nothing will be told any more; null while something may be. */
    private volatile LedgerException failure;

    private volatile boolean closed;
    /** The edition that the file has; -1 where it is to be written whatever it has. */
    private long writtenEdition = -1;

    HeldPrompts(CacheFile file, Logger logger, Clock clock) {
        this.file = file;
        this.logger = logger;
        this.clock = clock;
        this.currentAt = clock.instant();
        if (file != null) {
            load();
        }
    }

    private void load() {
        try {
            file.read().ifPresent(kept -> {
                kept.states().forEach(table::put);
                currentAt = kept.at();
                filled = true;
            });
        } catch (IOException unreadable) {
            warn("the prompts that were kept cannot be read", unreadable);
        }
    }

    private void warn(String what, IOException why) {
        logger.log(Level.WARNING, "a cache of prompts goes on without its file: " + what + ": " + why.getMessage());
    }

    /** The prompts; throws where there is nothing to read yet. */
    public PromptTable filled() {
        if (!filled) {
            if (failure != null) {
                throw failure;
            }
            throw new NotSyncedException("the cache has not been filled yet: wait for it once, by `synced`");
        }
        return table;
    }

    public PromptTable table() {
        return table;
    }

    public boolean isFilled() {
        return filled;
    }

    public boolean isSynced() {
        return synced;
    }

    public long revision() {
        return revision;
    }

    public Optional<Instant> staleSince() {
        return stale ? Optional.of(currentAt) : Optional.empty();
    }

    public Optional<LedgerException> failure() {
        return Optional.ofNullable(failure);
    }

    public boolean isClosed() {
        return closed;
    }

    public void apply(PromptUpdate update) {
        if (update instanceof PromptUpdate.Put put) {
            table.put(put.state());
        } else if (update instanceof PromptUpdate.Only only) {
            table.keepOnly(only.names());
        } else if (update instanceof PromptUpdate.Reached reached) {
            revision = reached.revision();
        } else if (update instanceof PromptUpdate.Current) {
            currentAt = clock.instant();
            stale = false;
            // Whoever sees that it is synced can read.
            filled = true;
            synced = true;
        } else if (update instanceof PromptUpdate.Behind) {
            stale = true;
        }
        tell();
        if (update instanceof PromptUpdate.Current) {
            // Nobody waits for the disk.
            save();
        }
    }

    /** Nothing will be told any more. */
    void failed(LedgerException error) {
        stale = true;
        failure = error;
        tell();
    }

    /** Nobody feeds it any more. Whoever sees that it is closed finds its file written. */
    void closed() {
        stale = true;
        try {
            save();
        } finally {
            closed = true;
            tell();
        }
    }

    /** Writes the file, where something has changed. */
    private synchronized void save() {
        var edition = table.edition();
        if (file == null || !synced || edition == writtenEdition) {
            return;
        }
        try {
            file.write(currentAt, table.states());
            writtenEdition = edition;
        } catch (IOException unwritable) {
            warn("they cannot be written", unwritable);
        }
    }

    /** Wakes up all that wait. */
    void tell() {
        lock.lock();
        try {
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Waits until it is so; false where it was not in time. {@code nanos}: {@link Long#MAX_VALUE} has no end. */
    public boolean await(BooleanSupplier enough, long nanos) {
        lock.lock();
        try {
            var left = nanos;
            while (!enough.getAsBoolean()) {
                if (left <= 0) {
                    return false;
                }
                left = changed.awaitNanos(left);
            }
            return true;
        } catch (InterruptedException interrupted) {
            throw Transport.interrupted();
        } finally {
            lock.unlock();
        }
    }
}
