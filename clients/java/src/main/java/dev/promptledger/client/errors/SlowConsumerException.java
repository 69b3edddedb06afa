package dev.promptledger.client.errors;

/** The client did not read its stream for too long. */
public class SlowConsumerException extends AbortedException {
    public SlowConsumerException(ErrorDetails details) {
        super(details);
    }
}
