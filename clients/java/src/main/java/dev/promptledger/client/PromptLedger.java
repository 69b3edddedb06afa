package dev.promptledger.client;

import dev.promptledger.client.Pages.Page;
import dev.promptledger.client.internal.Call;
import dev.promptledger.client.internal.CodeHashes;
import dev.promptledger.client.internal.ExecutionCalls;
import dev.promptledger.client.internal.Ids;
import dev.promptledger.client.internal.Profile;
import dev.promptledger.client.internal.Settings;
import dev.promptledger.client.internal.Target;
import dev.promptledger.client.internal.Transport;
import dev.promptledger.client.internal.steps.Follower;
import dev.promptledger.client.internal.steps.Tailer;
import dev.promptledger.v1.ExecutionServiceGrpc;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * A client of one ledger. Threads may share it; it connects with the first call, and again when the connection breaks. Errors are
 * {@link dev.promptledger.client.errors.LedgerException}s.
 */
public final class PromptLedger implements AutoCloseable {
    private final Transport transport;
    private final CodeHashes code;
    private final Prompts prompts;

    private PromptLedger(Settings settings) {
        this.transport = new Transport(settings);
        this.code = new CodeHashes(settings.trackingOnly());
        this.prompts = new Prompts(transport);
    }

    /**
     * A client of the server that the environment or the file of profiles names, or else of {@code prompt-ledger dev} on this
     * machine.
     */
    public static PromptLedger connect() {
        return connect(options -> {});
    }

    /**
     * A client of the server that the options name, or else of the one that the environment or the file of profiles names, or else
     * of {@code prompt-ledger dev} on this machine. It makes no call.
     *
     * @throws dev.promptledger.client.errors.InvalidOptionsException where the options cannot be used
     */
    public static PromptLedger connect(Consumer<? super ConnectOptions> options) {
        var given = new ConnectOptions();
        options.accept(given);
        return new PromptLedger(settings(given, System.getenv()));
    }

    static Settings settings(ConnectOptions given, Map<String, String> environment) {
        var isExplicit = given.server != null
                || given.apiKey != null
                || given.project != null
                || given.tlsCa != null
                || given.tlsCert != null;
        var explicit = isExplicit
                ? new Profile(given.server, given.apiKey, given.project, given.tlsCa, given.tlsCert, given.tlsKey)
                : null;
        var profile = Profile.find(explicit, given.profile, environment);
        return new Settings(
                profile.server(),
                Target.of(profile, given.allowPlaintext),
                given.trackingOnly,
                Settings.positive("timeout", given.timeout),
                Settings.positive("patience", given.patience),
                Settings.positive("silence", given.silence),
                List.copyOf(given.interceptors),
                given.logger == null ? System.getLogger("dev.promptledger.client") : given.logger);
    }

    /** The registry's calls. */
    public Prompts prompts() {
        return prompts;
    }

    /** The generated stubs over the same connection. */
    public RawStubs raw() {
        return new RawStubs(transport.channel());
    }

    /** Executes a prompt within the call. A failed execution is a result: {@code raiseForStatus} makes it an error. */
    public Execution run(String prompt, Map<String, ?> variables) {
        return run(prompt, variables, options -> {});
    }

    /**
     * Executes a prompt within the call. A failed execution is a result: {@code raiseForStatus} makes it an error.
     *
     * @param variables the values to render the template with: null, booleans, texts, numbers, and maps, lists or arrays of such
     */
    public Execution run(String prompt, Map<String, ?> variables, Consumer<? super ExecuteOptions> options) {
        return run(prompt, variables, options, code.isInCode(prompt));
    }

    /** Executes a prompt that is in code: the text that this client registered, where it did. */
    public Execution execute(String prompt, Map<String, ?> variables) {
        return execute(prompt, variables, options -> {});
    }

    /**
     * Executes a prompt that is in code: the text that this client registered, where it did.
     *
     * @param variables null where the options have ready messages
     */
    public Execution execute(String prompt, Map<String, ?> variables, Consumer<? super ExecuteOptions> options) {
        return run(prompt, variables, options, true);
    }

    private Execution run(
            String prompt, Map<String, ?> variables, Consumer<? super ExecuteOptions> options, boolean tracking) {
        var given = executing(prompt, variables, options, tracking);
        var answer = transport.call(ExecutionCalls.run(given.spec().build(), tracking, given.deadline));
        return new Execution(answer.getExecution(), answer.getReused());
    }

    /** Executes a prompt and tells what happens. To close the updates before their end is to cancel the execution. */
    public Updates stream(String prompt, Map<String, ?> variables) {
        return stream(prompt, variables, options -> {});
    }

    /**
     * Executes a prompt and tells what happens. Nothing is sent before the updates are read. Without an idempotency key, to close
     * them before their end is to cancel the execution.
     */
    public Updates stream(String prompt, Map<String, ?> variables, Consumer<? super ExecuteOptions> options) {
        var tracking = code.isInCode(prompt);
        var spec = executing(prompt, variables, options, tracking).spec().build();
        return new Updates(transport, Follower.executing(spec, tracking));
    }

    /** Hands an execution over to a worker. */
    public Handle submit(String prompt, Map<String, ?> variables) {
        return submit(prompt, variables, options -> {});
    }

    /** Hands an execution over to a worker. Where no idempotency key is given it gets one, so that repeats are safe. */
    public Handle submit(String prompt, Map<String, ?> variables, Consumer<? super ExecuteOptions> options) {
        var tracking = code.isInCode(prompt);
        var given = executing(prompt, variables, options, tracking);
        if (given.spec().getIdempotencyKey().isEmpty()) {
            given.idempotencyKey(Ids.uuid7());
        }
        var answer = transport.call(ExecutionCalls.submit(given.spec().build(), tracking, given.deadline));
        var status = ExecutionStatus.of(answer.getStatusValue());
        return new Handle(transport, answer.getExecutionId(), status, answer.getReused());
    }

    private ExecuteOptions executing(
            String prompt, Map<String, ?> variables, Consumer<? super ExecuteOptions> options, boolean tracking) {
        var given = ExecuteOptions.of(prompt, variables, options);
        if (tracking) {
            code.select(given.spec());
        }
        return given;
    }

    /** A handle of an execution that is known by its id. */
    public Handle handle(String executionId) {
        return new Handle(transport, executionId, ExecutionStatus.UNKNOWN, false);
    }

    /** What happens to an execution, from its beginning on. */
    public Updates watch(String executionId) {
        return handle(executionId).watch();
    }

    /** What happens to an execution, from after that state change on. */
    public Updates watch(String executionId, long afterSequence) {
        return handle(executionId).watch(afterSequence);
    }

    /** All executions, the newest first, without their texts. */
    public Pages<Execution> executions() {
        return executions(filter -> {});
    }

    /** Executions that match, the newest first; without their texts, unless the filter asks for them. */
    public Pages<Execution> executions(Consumer<? super ExecutionFilter> filter) {
        var request = ExecutionFilter.of(filter);
        return new Pages<>(
                transport,
                (size, token) -> new Call<>(
                        ExecutionServiceGrpc.getListExecutionsMethod(),
                        request.toBuilder()
                                .setPageSize(size)
                                .setPageToken(token)
                                .build(),
                        answer -> new Page<>(
                                answer.getExecutionsList().stream()
                                        .map(Execution::new)
                                        .toList(),
                                answer.getNextPageToken())));
    }

    /** What happens to all executions, without end. */
    public Tail tail() {
        return tail(filter -> {});
    }

    /** What happens to all executions that match, without end. */
    public Tail tail(Consumer<? super TailFilter> filter) {
        return new Tail(transport, new Tailer(TailFilter.of(filter)));
    }

    /** Registers prompts that live in code, all or none; {@code execute} then runs the text in hand. */
    public Registration registerCodePrompts(List<CodePrompt> prompts) {
        return registerCodePrompts(prompts, options -> {});
    }

    /**
     * Registers prompts that live in code, all or none; {@code execute} then runs the text in hand. With {@code dryRun} nothing is
     * written, and the answer says what would be.
     */
    public Registration registerCodePrompts(List<CodePrompt> prompts, Consumer<? super RegisterOptions> options) {
        var given = RegisterOptions.of(options);
        var registration = Registration.register(transport, this.prompts, prompts, given);
        if (!given.isDryRun()) {
            registration.registered().forEach(each -> code.keep(each.name(), each.checksumHash()));
        }
        return registration;
    }

    /** Keeps all prompts in memory, as they are in the ledger. */
    public PromptCache promptCache() {
        return promptCache(options -> {});
    }

    /** Keeps prompts in memory, as they are in the ledger: those that the options name, or all. */
    public PromptCache promptCache(Consumer<? super CacheOptions> options) {
        return PromptCache.open(transport, CacheOptions.of(options));
    }

    /** Ends all calls and watches. Nothing can be called afterwards. */
    @Override
    public void close() {
        transport.close();
    }

    @Override
    public String toString() {
        return "PromptLedger[" + transport.settings().server() + "]";
    }
}
