package dev.promptledger.client;

import java.util.function.Consumer;

/** What a write of a prompt may be told. */
public final class WriteOptions {
    /** Null: none. */
    String etag;

    String createdBy = "";

    WriteOptions() {}

    static WriteOptions of(Consumer<? super WriteOptions> options) {
        var result = new WriteOptions();
        options.accept(result);
        return result;
    }

    /** The etag that the prompt must have. */
    public WriteOptions etag(String etag) {
        this.etag = etag;
        return this;
    }

    /** Who writes; stored in the change log. */
    public WriteOptions createdBy(String who) {
        this.createdBy = who;
        return this;
    }
}
