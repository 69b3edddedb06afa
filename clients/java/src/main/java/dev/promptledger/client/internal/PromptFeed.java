package dev.promptledger.client.internal;

import dev.promptledger.client.errors.ClientClosedException;
import dev.promptledger.client.errors.LedgerException;
import dev.promptledger.client.internal.steps.PromptReader;
import dev.promptledger.client.internal.steps.PromptUpdate;
import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.function.Consumer;

/** Feeds a cache by a thread, and tells its listeners, each by a thread of its own. */
public final class PromptFeed implements AutoCloseable {
    private final Transport transport;
    private final HeldPrompts held;
    private final Following<?, PromptUpdate> following;

    private PromptFeed(Transport transport, HeldPrompts held, Following<?, PromptUpdate> following) {
        this.transport = transport;
        this.held = held;
        this.following = following;
    }

    /** {@code file}: null where none is kept. */
    public static PromptFeed start(Transport transport, List<String> names, String namePrefix, Path file) {
        var settings = transport.settings();
        transport.checkOpen();
        var kept = file == null ? null : new CacheFile(file, source(settings, names, namePrefix));
        var held = new HeldPrompts(kept, settings.logger(), Clock.systemUTC());
        // What is held is of use however long the server is away.
        var following = new Following<>(transport, new PromptReader(names, namePrefix), Long.MAX_VALUE);
        var feed = new PromptFeed(transport, held, following);
        thread("prompt-ledger-cache", feed::feed).start();
        return feed;
    }

    /** What the file of a cache is kept of. The key stands for its project, whose name is not known here. */
    private static List<String> source(Settings settings, List<String> names, String namePrefix) {
        var target = settings.target();
        var source = new ArrayList<>(List.of(settings.server(), target.key(), target.project(), namePrefix));
        source.addAll(new TreeSet<>(names));
        return source;
    }

    private static Thread thread(String name, Runnable work) {
        var thread = new Thread(work, name);
        thread.setDaemon(true);
        return thread;
    }

    private void feed() {
        try {
            for (var update = following.next(); update != null; update = following.next()) {
                held.apply(update);
            }
        } catch (ClientClosedException closed) {
            held.failed(closed);
        } catch (LedgerException error) {
            transport
                    .settings()
                    .logger()
                    .log(Level.WARNING, "a cache of prompts is fed no more: " + error.getMessage());
            held.failed(error);
        } catch (RuntimeException unexpected) {
            transport.settings().logger().log(Level.WARNING, "a cache of prompts is fed no more", unexpected);
            held.failed(Errors.unexpected(unexpected));
        } finally {
            held.closed();
        }
    }

    public HeldPrompts held() {
        return held;
    }

    /** Calls a listener with the names of what changes from now on. Returns what ends that. */
    public Runnable listen(Consumer<String> listener) {
        var listening = new Listening(listener, held.table().edition());
        thread("prompt-ledger-cache-listener", listening::run).start();
        return listening::end;
    }

    private final class Listening {
        private final Consumer<String> listener;
        /** The edition up to which changes have been told. */
        private long seen;

        private volatile boolean ended;

        private Listening(Consumer<String> listener, long seen) {
            this.listener = listener;
            this.seen = seen;
        }

        private void run() {
            while (true) {
                held.await(() -> ended || held.isClosed() || hasNews(), Long.MAX_VALUE);
                if (ended || !hasNews()) {
                    return;
                }
                var changes = held.table().changesSince(seen);
                seen = changes.edition();
                changes.names().forEach(this::tell);
            }
        }

        /** Whether there are changes that can be read. */
        private boolean hasNews() {
            return held.isFilled() && held.table().edition() > seen;
        }

        private void tell(String name) {
            if (ended) {
                return;
            }
            try {
                listener.accept(name);
            } catch (RuntimeException failure) {
                transport.settings().logger().log(Level.WARNING, "a listener of a cache of prompts failed", failure);
            }
        }

        private void end() {
            ended = true;
            held.tell();
        }
    }

    /** Ends the watch, and writes the file. What is held can still be read. */
    @Override
    public void close() {
        following.close();
        held.await(held::isClosed, Long.MAX_VALUE);
    }
}
