package dev.promptledger.client.errors;

import dev.promptledger.client.Execution;
import io.grpc.Status;
import java.util.Locale;
import java.util.stream.Stream;

/** The execution failed, or was canceled; thrown by {@link Execution#raiseForStatus()}. */
public class ExecutionFailedException extends ClientException {
    private final transient Execution execution;

    public ExecutionFailedException(Execution execution) {
        super(Status.Code.UNKNOWN, message(execution));
        this.execution = execution;
    }

    /** The execution as it ended. */
    public Execution execution() {
        return execution;
    }

    private static String message(Execution execution) {
        var why = Stream.of(execution.errorMessage(), execution.errorType(), execution.cancelReason())
                .filter(text -> !text.isEmpty())
                .findFirst();
        var what =
                "execution " + execution.id() + " " + execution.status().name().toLowerCase(Locale.ROOT);
        return why.map(text -> what + ": " + text).orElse(what);
    }
}
