package dev.promptledger.client.errors;

/** No project of that name exists, or the key is another project's. */
public class ProjectNotFoundException extends NotFoundException {
    public ProjectNotFoundException(ErrorDetails details) {
        super(details);
    }
}
