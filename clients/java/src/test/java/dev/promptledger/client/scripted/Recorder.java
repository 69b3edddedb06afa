package dev.promptledger.client.scripted;

import java.text.MessageFormat;
import java.util.List;
import java.util.ResourceBundle;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/** A logger that keeps what it is told. */
public final class Recorder implements System.Logger {
    private final List<String> lines = new CopyOnWriteArrayList<>();
    private final Consumer<String> listener;

    public Recorder() {
        this(line -> {});
    }

    /** {@code listener}: called with each line, by whoever logs it. */
    public Recorder(Consumer<String> listener) {
        this.listener = listener;
    }

    public List<String> lines() {
        return lines;
    }

    public boolean has(String part) {
        return lines.stream().anyMatch(line -> line.contains(part));
    }

    /** Waits until it has that, for a minute at most. */
    public synchronized boolean awaits(String part) throws InterruptedException {
        var ends = System.nanoTime() + TimeUnit.MINUTES.toNanos(1);
        while (!has(part)) {
            var left = TimeUnit.NANOSECONDS.toMillis(ends - System.nanoTime());
            if (left <= 0) {
                return false;
            }
            wait(left);
        }
        return true;
    }

    private void add(String line) {
        synchronized (this) {
            lines.add(line);
            notifyAll();
        }
        listener.accept(line);
    }

    @Override
    public String getName() {
        return "recorder";
    }

    @Override
    public boolean isLoggable(Level level) {
        return true;
    }

    @Override
    public void log(Level level, ResourceBundle bundle, String message, Throwable thrown) {
        add(level + " " + message + " " + thrown);
    }

    @Override
    public void log(Level level, ResourceBundle bundle, String format, Object... parameters) {
        add(level + " " + (parameters == null ? format : MessageFormat.format(format, parameters)));
    }
}
