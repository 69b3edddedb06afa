package dev.promptledger.client;

import java.util.List;

/**
 * What {@code prompts().batchGet} found.
 *
 * @param found in the order asked for
 * @param missing the names that no prompt has
 */
public record Batch(List<Prompt> found, List<String> missing) {}
