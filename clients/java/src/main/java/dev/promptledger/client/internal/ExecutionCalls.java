package dev.promptledger.client.internal;

import dev.promptledger.client.internal.steps.Deadlines;
import dev.promptledger.v1.CodeRegistrationServiceGrpc;
import dev.promptledger.v1.ExecuteCodePromptRequest;
import dev.promptledger.v1.ExecuteCodePromptResponse;
import dev.promptledger.v1.ExecutionMode;
import dev.promptledger.v1.ExecutionServiceGrpc;
import dev.promptledger.v1.ExecutionSpec;
import dev.promptledger.v1.RunExecutionRequest;
import dev.promptledger.v1.RunExecutionResponse;
import dev.promptledger.v1.SubmitExecutionRequest;
import dev.promptledger.v1.SubmitExecutionResponse;
import java.time.Duration;
import java.util.function.Function;

/** The calls that execute, of prompts in the ledger and of those in code. */
public final class ExecutionCalls {
    private ExecutionCalls() {}

    /**
     * Executes within the call. Without a key a repeat might call the model, and pay, twice.
     *
     * @param limit null: what follows from the spec
     */
    public static Call<?, ?, RunExecutionResponse> run(ExecutionSpec spec, boolean tracking, Duration limit) {
        var freely = !spec.getIdempotencyKey().isEmpty();
        var deadline = limit == null ? Deadlines.of(spec) : limit;
        if (tracking) {
            return new Call<>(
                    CodeRegistrationServiceGrpc.getExecuteCodePromptMethod(),
                    code(spec, ExecutionMode.EXECUTION_MODE_SYNC),
                    ExecutionCalls::ran,
                    freely,
                    deadline);
        }
        var request = RunExecutionRequest.newBuilder().setSpec(spec).build();
        return new Call<>(ExecutionServiceGrpc.getRunExecutionMethod(), request, Function.identity(), freely, deadline);
    }

    /** Hands over to a worker; the spec has an idempotency key. */
    public static Call<?, ?, SubmitExecutionResponse> submit(ExecutionSpec spec, boolean tracking, Duration limit) {
        if (tracking) {
            return new Call<>(
                    CodeRegistrationServiceGrpc.getExecuteCodePromptMethod(),
                    code(spec, ExecutionMode.EXECUTION_MODE_ASYNC),
                    ExecutionCalls::submitted,
                    true,
                    limit);
        }
        var request = SubmitExecutionRequest.newBuilder().setSpec(spec).build();
        return new Call<>(ExecutionServiceGrpc.getSubmitExecutionMethod(), request, Function.identity(), true, limit);
    }

    private static ExecuteCodePromptRequest code(ExecutionSpec spec, ExecutionMode mode) {
        return ExecuteCodePromptRequest.newBuilder().setSpec(spec).setMode(mode).build();
    }

    private static RunExecutionResponse ran(ExecuteCodePromptResponse answer) {
        return RunExecutionResponse.newBuilder()
                .setExecution(answer.getExecution())
                .setReused(answer.getReused())
                .build();
    }

    private static SubmitExecutionResponse submitted(ExecuteCodePromptResponse answer) {
        return SubmitExecutionResponse.newBuilder()
                .setExecutionId(answer.getExecution().getExecutionId())
                .setStatusValue(answer.getExecution().getStatusValue())
                .setReused(answer.getReused())
                .build();
    }
}
