package dev.promptledger.client.errors;

import java.util.List;

/** The template reads variables that were not sent. */
public class VariablesMissingException extends InvalidArgumentException {
    private static final String PREFIX = "variables.";

    public VariablesMissingException(ErrorDetails details) {
        super(details);
    }

    /** The names of the variables, sorted. */
    public List<String> missing() {
        return fields().keySet().stream()
                .map(field -> field.startsWith(PREFIX) ? field.substring(PREFIX.length()) : field)
                .sorted()
                .toList();
    }
}
