package dev.promptledger.client;

import dev.promptledger.client.errors.DeadlineExceededException;
import dev.promptledger.client.errors.ErrorDetails;
import dev.promptledger.client.errors.LedgerException;
import dev.promptledger.client.internal.HeldPrompts;
import dev.promptledger.client.internal.PromptFeed;
import dev.promptledger.client.internal.Settings;
import dev.promptledger.client.internal.Transport;
import io.grpc.Status;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/**
 * Prompts in memory, each with its active version and those that its labels point at, as they are in the ledger.
 *
 * <p>A change is here within a moment of its write. Reading is no call and never waits. While the server is away the last state is
 * served, and {@link #staleSince()} says since when. However often a stream breaks, another is opened: only a refusal that would be
 * repeated ends that, such as a key that is revoked ({@link #failure()}).
 *
 * <p>A ledger that was restored from a backup and was written to past what the cache had seen cannot be told from one that was not:
 * restart clients with a cache after a restore.
 */
public final class PromptCache implements AutoCloseable {
    private final PromptFeed feed;
    private final HeldPrompts held;

    private PromptCache(PromptFeed feed) {
        this.feed = feed;
        this.held = feed.held();
    }

    static PromptCache open(Transport transport, CacheOptions options) {
        return new PromptCache(PromptFeed.start(transport, options.names, options.namePrefix, options.file));
    }

    /**
     * The active version of a prompt. Empty where there is no such prompt or active version, or where it is not watched.
     *
     * @throws dev.promptledger.client.errors.NotSyncedException before the cache was first filled
     */
    public Optional<PromptVersion> get(String name) {
        return held.filled().version(name, null);
    }

    /**
     * The version that a label points at; {@code active} is the active one, {@code latest} is not held. Empty as for
     * {@link #get(String)}.
     *
     * @throws dev.promptledger.client.errors.NotSyncedException before the cache was first filled
     */
    public Optional<PromptVersion> get(String name, String label) {
        return held.filled().version(name, label);
    }

    /** The prompt of this name, archived ones too; empty as for {@link #get(String)}. */
    public Optional<Prompt> prompt(String name) {
        return held.filled().prompt(name);
    }

    /** The names of the prompts that are held, sorted. */
    public List<String> names() {
        return held.table().names();
    }

    /**
     * Waits until every prompt that is watched is here, for at most 30 s; not needed where what a file had is good enough.
     *
     * @throws DeadlineExceededException where they did not come in time
     * @throws LedgerException where the server refuses the watch
     */
    public PromptCache synced() {
        return synced(Duration.ofSeconds(30));
    }

    /**
     * Waits until every prompt that is watched is here.
     *
     * @throws DeadlineExceededException where they did not come in time
     * @throws LedgerException where the server refuses the watch
     */
    public PromptCache synced(Duration timeout) {
        return until(held::isSynced, timeout);
    }

    /**
     * Waits until every change up to this revision is here, such as the one that a write answered.
     *
     * @throws DeadlineExceededException where they did not come in time
     * @throws LedgerException where the server refuses the watch
     */
    public PromptCache reached(long revision, Duration timeout) {
        return until(() -> held.isSynced() && held.revision() >= revision, timeout);
    }

    private PromptCache until(BooleanSupplier enough, Duration timeout) {
        // A failure is told before the file is written.
        BooleanSupplier ended = () -> enough.getAsBoolean() || held.failure().isPresent() || held.isClosed();
        var inTime = held.await(ended, Settings.nanos(timeout));
        if (!enough.getAsBoolean()) {
            held.failure().ifPresent(failure -> {
                throw failure;
            });
            var what = inTime ? "the cache was closed" : "the prompts did not come in time";
            throw new DeadlineExceededException(ErrorDetails.of(Status.Code.DEADLINE_EXCEEDED, what));
        }
        return this;
    }

    /**
     * Calls a listener with the name of each prompt that changes from now on, comes or is gone, once the new state can be read.
     * Several changes of a prompt may be told as one. It is called in a thread of its own: a slow one delays nobody.
     *
     * @return what ends that
     */
    public Runnable onChange(Consumer<String> listener) {
        return feed.listen(listener);
    }

    /** The project's revision up to which every change is here; 0 before the first sync. */
    public long revision() {
        return held.revision();
    }

    /**
     * Since when changes may be missing; empty while the cache has everything that the server knows. It is the time, by the clock
     * of this machine, at which the last message came by which nothing was missing; before the first, when the cache was made, or
     * what its file says.
     */
    public Optional<Instant> staleSince() {
        return held.staleSince();
    }

    /** Why the cache will not be fed any more; empty while it is. */
    public Optional<LedgerException> failure() {
        return held.failure();
    }

    /** Ends the watch, and writes the file. What is held can still be read. */
    @Override
    public void close() {
        feed.close();
    }
}
