package dev.promptledger.client;

import dev.promptledger.client.internal.Enums;

/** How the text of a template is read. */
public enum TemplateFormat {
    /** Not told, or of a newer server than this client knows. */
    UNKNOWN,
    /** A strict Handlebars template, rendered by the ledger. */
    HANDLEBARS,
    /** A text that the ledger never parses; of prompts in code only. */
    OPAQUE;

    // In the order of the contract's numbers.
    private static final TemplateFormat[] BY_NUMBER = values();

    static TemplateFormat of(int number) {
        return Enums.of(BY_NUMBER, number);
    }
}
