package dev.promptledger.client;

import dev.promptledger.v1.RegisterCodePromptsRequest;
import java.util.function.Consumer;

/** What a registration of prompts in code may be told. */
public final class RegisterOptions {
    private final RegisterCodePromptsRequest.Builder request = RegisterCodePromptsRequest.newBuilder();

    RegisterOptions() {}

    static RegisterOptions of(Consumer<? super RegisterOptions> options) {
        var result = new RegisterOptions();
        options.accept(result);
        return result;
    }

    RegisterCodePromptsRequest.Builder request() {
        return request;
    }

    boolean isDryRun() {
        return request.getDryRun();
    }

    /** Whether nothing is to be written. */
    public RegisterOptions dryRun(boolean dryRun) {
        request.setDryRun(dryRun);
        return this;
    }

    /** Whether to make the versions the active ones; true where it is absent. */
    public RegisterOptions setActive(boolean active) {
        request.setSetActive(active);
        return this;
    }

    /** Who registers. */
    public RegisterOptions createdBy(String who) {
        request.setCreatedBy(who);
        return this;
    }

    /** Where the code comes from. */
    public RegisterOptions source(String repository, String commit) {
        request.getSourceBuilder().setRepository(repository).setCommit(commit);
        return this;
    }
}
