package dev.promptledger.client.errors;

import io.grpc.Status;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;

/**
 * The base of all errors of this package. Each reason that a server gives has a class; a reason that this client does not know is
 * thrown as the class of its gRPC code. The classes of codes are the bases of those of reasons, so whoever catches a
 * {@link NotFoundException} catches a {@link PromptNotFoundException} too.
 */
public abstract class LedgerException extends RuntimeException {
    private final ErrorDetails details;

    protected LedgerException(ErrorDetails details) {
        super(details.message());
        this.details = details;
        if (details.cause() != null) {
            initCause(details.cause());
        }
    }

    /** The gRPC status code. */
    public Status.Code code() {
        return details.code();
    }

    /** Why, as in the contract's {@code ErrorReason} without its prefix; empty where no server gave a reason. */
    public String reason() {
        return details.reason();
    }

    /** What is wrong with which field of the request. */
    public Map<String, String> fields() {
        return details.fields();
    }

    /** What else the server tells, such as {@code prompt} or {@code execution_id}. */
    public Map<String, String> metadata() {
        return details.metadata();
    }

    /** The delay after which the server asks to be called again; empty where it does not. */
    public Optional<Duration> retryAfter() {
        return details.retryAfter();
    }

    /** Whether the server has certainly not begun with the request: it said so, or no connection came about. */
    public boolean nothingBegan() {
        if (reason().isEmpty()) {
            return code() == Status.Code.UNAVAILABLE && !details.sent();
        }
        return (reason().equals("DRAINING") || reason().equals("OVERLOADED"))
                && !metadata().containsKey("execution_id");
    }
}
