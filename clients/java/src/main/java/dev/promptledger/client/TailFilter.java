package dev.promptledger.client;

import dev.promptledger.client.internal.Protos;
import dev.promptledger.v1.ExecutionView;
import dev.promptledger.v1.WatchExecutionsRequest;
import java.time.Instant;
import java.util.function.Consumer;

/** Which executions to tail; filters are joined by "and". */
public final class TailFilter {
    private final WatchExecutionsRequest.Builder request = WatchExecutionsRequest.newBuilder();

    TailFilter() {}

    static WatchExecutionsRequest of(Consumer<? super TailFilter> filter) {
        var result = new TailFilter();
        filter.accept(result);
        return result.request.build();
    }

    public TailFilter promptName(String name) {
        request.setPromptName(name);
        return this;
    }

    public TailFilter environment(String environment) {
        request.setEnvironment(environment);
        return this;
    }

    public TailFilter correlationId(String id) {
        request.setCorrelationId(id);
        return this;
    }

    /** Only changes from or to one of these. */
    public TailFilter statuses(ExecutionStatus... statuses) {
        for (var status : statuses) {
            request.addStatusesValue(status.ordinal());
        }
        return this;
    }

    /** Begin with what has changed since then, beside what is unfinished. */
    public TailFilter since(Instant time) {
        request.setSince(Protos.timestamp(time));
        return this;
    }

    /** Whether to tell the texts too. */
    public TailFilter full(boolean full) {
        request.setView(full ? ExecutionView.EXECUTION_VIEW_FULL : ExecutionView.EXECUTION_VIEW_BASIC);
        return this;
    }
}
