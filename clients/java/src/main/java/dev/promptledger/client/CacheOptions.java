package dev.promptledger.client;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.function.Consumer;

/** Which prompts a cache holds: those that are named, and those whose name has the prefix; all where there is neither. */
public final class CacheOptions {
    List<String> names = List.of();
    String namePrefix = "";
    /** Null: none. */
    Path file;

    CacheOptions() {}

    static CacheOptions of(Consumer<? super CacheOptions> options) {
        var result = new CacheOptions();
        options.accept(result);
        return result;
    }

    public CacheOptions names(String... names) {
        return names(Arrays.asList(names));
    }

    public CacheOptions names(Collection<String> names) {
        this.names = List.copyOf(names);
        return this;
    }

    public CacheOptions namePrefix(String prefix) {
        this.namePrefix = prefix;
        return this;
    }

    /**
     * Keeps the prompts for the next start: at most 256 MiB, readable for its owner alone. One cache writes it at a time. A file of
     * another server, project, key or selection is ignored, and replaced: so the first start with a new key waits for the server.
     * The file does not have the key.
     */
    public CacheOptions file(Path file) {
        this.file = file;
        return this;
    }
}
