package dev.promptledger.client.internal.steps;

/** The effect of a message. */
public enum Taken {
    /** It was new, or a heartbeat: the retry window starts anew. */
    NEWS,
    /** It contained nothing new. */
    NOTHING,
    /** It was the last. */
    OVER,
    /** An event or text before it is missing. */
    GAP,
    /** It was the last, in an unknown form. */
    UNREADABLE
}
