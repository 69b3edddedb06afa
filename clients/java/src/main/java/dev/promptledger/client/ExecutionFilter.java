package dev.promptledger.client;

import dev.promptledger.client.internal.Protos;
import dev.promptledger.v1.ExecutionView;
import dev.promptledger.v1.ListExecutionsRequest;
import java.time.Instant;
import java.util.Map;
import java.util.function.Consumer;

/** Which executions to list; filters are joined by "and". */
public final class ExecutionFilter {
    private final ListExecutionsRequest.Builder request = ListExecutionsRequest.newBuilder();

    ExecutionFilter() {}

    static ListExecutionsRequest of(Consumer<? super ExecutionFilter> filter) {
        var result = new ExecutionFilter();
        filter.accept(result);
        return result.request.build();
    }

    public ExecutionFilter promptName(String name) {
        request.setPromptName(name);
        return this;
    }

    /** Only of this version of that prompt. */
    public ExecutionFilter version(int number) {
        request.setVersionNumber(number);
        return this;
    }

    /** Only those whose version was selected by this label. */
    public ExecutionFilter label(String label) {
        request.setLabel(label);
        return this;
    }

    public ExecutionFilter statuses(ExecutionStatus... statuses) {
        for (var status : statuses) {
            request.addStatusesValue(status.ordinal());
        }
        return this;
    }

    public ExecutionFilter mode(ExecutionMode mode) {
        request.setModeValue(mode.ordinal());
        return this;
    }

    public ExecutionFilter environment(String environment) {
        request.setEnvironment(environment);
        return this;
    }

    /** {@code provider/model}; {@code provider/} is any model of the provider. */
    public ExecutionFilter model(String model) {
        request.setModel(ContentConfig.modelOf(model));
        return this;
    }

    public ExecutionFilter errorType(String type) {
        request.setErrorType(type);
        return this;
    }

    public ExecutionFilter correlationId(String id) {
        request.setCorrelationId(id);
        return this;
    }

    /** Only those whose metadata hold each of these entries. */
    public ExecutionFilter metadata(Map<String, String> metadata) {
        request.putAllMetadata(metadata);
        return this;
    }

    /** Only those created at this time or after it. */
    public ExecutionFilter from(Instant time) {
        request.setStartTime(Protos.timestamp(time));
        return this;
    }

    /** Only those created before this time. */
    public ExecutionFilter until(Instant time) {
        request.setEndTime(Protos.timestamp(time));
        return this;
    }

    /** Whether to tell the texts too. */
    public ExecutionFilter full(boolean full) {
        request.setView(full ? ExecutionView.EXECUTION_VIEW_FULL : ExecutionView.EXECUTION_VIEW_BASIC);
        return this;
    }
}
