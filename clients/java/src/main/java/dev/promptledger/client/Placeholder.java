package dev.promptledger.client;

/**
 * A place in a chat for messages.
 *
 * @param variable the name of the variable whose value, a list of messages, is inserted
 */
public record Placeholder(String variable) implements ChatEntry {}
