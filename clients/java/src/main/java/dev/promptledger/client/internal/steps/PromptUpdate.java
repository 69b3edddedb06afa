package dev.promptledger.client.internal.steps;

import dev.promptledger.v1.PromptChange;
import java.util.Set;

/** What a watch of prompts tells the cache. */
public sealed interface PromptUpdate {
    /** A prompt's whole present state. */
    record Put(PromptChange state) implements PromptUpdate {}

    /** No other prompts than these are there. */
    record Only(Set<String> names) implements PromptUpdate {}

    /** Everything up to this revision has been told. It falls where the ledger has lost what it had told. */
    record Reached(long revision) implements PromptUpdate {}

    /** Nothing is missing. */
    record Current() implements PromptUpdate {}

    /** Something may be missing: the stream broke, or the server knows of changes that it has not sent. */
    record Behind() implements PromptUpdate {}
}
