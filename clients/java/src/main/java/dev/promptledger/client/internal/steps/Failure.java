package dev.promptledger.client.internal.steps;

import dev.promptledger.client.errors.LedgerException;

/** How a call or a stream ended that did not come to its end. */
public sealed interface Failure {
    /** As a sentence. */
    String cause();

    /** With an error of gRPC or of the server. */
    record Refused(LedgerException error) implements Failure {
        @Override
        public String cause() {
            return error.getMessage();
        }
    }

    /** A stream broke without an error. */
    enum Broken implements Failure {
        CUT("the stream ended before the execution"),
        SILENT("the server said nothing, not even that it lives"),
        GAP("the stream left something out"),
        OVERFLOW("the stream was read too slowly");

        private final String cause;

        Broken(String cause) {
            this.cause = cause;
        }

        @Override
        public String cause() {
            return cause;
        }
    }
}
