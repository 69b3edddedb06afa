package dev.promptledger.client;

import dev.promptledger.v1.ToolChoiceMode;

/**
 * Which tools the model is to call.
 *
 * @param raw the message of the contract
 */
public record ToolChoice(dev.promptledger.v1.ToolChoice raw) {
    /** The model decides. */
    public static final ToolChoice AUTO = of(ToolChoiceMode.TOOL_CHOICE_MODE_AUTO);
    /** The model calls no tool. */
    public static final ToolChoice NONE = of(ToolChoiceMode.TOOL_CHOICE_MODE_NONE);
    /** The model calls at least one tool. */
    public static final ToolChoice REQUIRED = of(ToolChoiceMode.TOOL_CHOICE_MODE_REQUIRED);

    /** Exactly the tool of this name. */
    public static ToolChoice of(String tool) {
        return new ToolChoice(
                dev.promptledger.v1.ToolChoice.newBuilder().setName(tool).build());
    }

    private static ToolChoice of(ToolChoiceMode mode) {
        return new ToolChoice(
                dev.promptledger.v1.ToolChoice.newBuilder().setMode(mode).build());
    }

    /** The same choice, and whether the model may call several tools at once. */
    public ToolChoice parallel(boolean parallel) {
        return new ToolChoice(raw.toBuilder().setParallel(parallel).build());
    }
}
