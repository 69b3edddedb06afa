package dev.promptledger.client;

import dev.promptledger.client.Pages.Page;
import dev.promptledger.client.internal.Call;
import dev.promptledger.client.internal.Errors;
import dev.promptledger.client.internal.Json;
import dev.promptledger.client.internal.Transport;
import dev.promptledger.v1.ArchivePromptRequest;
import dev.promptledger.v1.BatchGetPromptsRequest;
import dev.promptledger.v1.GetPromptHistoryRequest;
import dev.promptledger.v1.GetPromptRequest;
import dev.promptledger.v1.GetVersionRequest;
import dev.promptledger.v1.ListPromptChangesRequest;
import dev.promptledger.v1.ListPromptsResponse;
import dev.promptledger.v1.ListVersionsRequest;
import dev.promptledger.v1.PromptDraft;
import dev.promptledger.v1.RegistryServiceGrpc;
import dev.promptledger.v1.RemoveLabelRequest;
import dev.promptledger.v1.RenderPromptRequest;
import dev.promptledger.v1.SetActiveVersionRequest;
import dev.promptledger.v1.SetLabelRequest;
import dev.promptledger.v1.UnarchivePromptRequest;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;

/** Prompts of the registry: writes those that live in the ledger, and reads those in code too. */
public final class Prompts {
    /** Names of one BatchGetPrompts. */
    private static final int BATCH = 100;

    private final Transport transport;

    Prompts(Transport transport) {
        this.transport = transport;
    }

    /** Creates a prompt, or writes a content of one that exists. A content that it has makes no new version. */
    public WrittenPrompt put(String name, String template) {
        return put(name, template, options -> {});
    }

    /**
     * Creates a prompt, or writes a content and metadata of one that exists. A content that it has makes no new version.
     *
     * @param template null where the options have a chat
     */
    public WrittenPrompt put(String name, String template, Consumer<? super PutOptions> options) {
        var request = PutOptions.of(name, template, options);
        // A repeat after a lost answer would meet what the first one wrote.
        var freely = !request.getCreateOnly() && !request.hasEtag();
        return transport.call(new Call<>(RegistryServiceGrpc.getPutPromptMethod(), request, WrittenPrompt::of, freely));
    }

    /** A prompt with its active version. */
    public Prompt get(String name) {
        return get(GetPromptRequest.newBuilder().setName(name).build());
    }

    /** A prompt with its active version, at that revision at least, as a write told it. */
    public Prompt get(String name, long minRevision) {
        return get(GetPromptRequest.newBuilder()
                .setName(name)
                .setMinRevision(minRevision)
                .build());
    }

    private Prompt get(GetPromptRequest request) {
        return transport.call(new Call<>(
                RegistryServiceGrpc.getGetPromptMethod(),
                request,
                answer ->
                        new Prompt(answer.getPrompt(), answer.hasActiveVersion() ? answer.getActiveVersion() : null)));
    }

    /** All prompts with their active versions, by name. */
    public Pages<Prompt> list() {
        return list(filter -> {});
    }

    /** Prompts that match, with their active versions, by name. */
    public Pages<Prompt> list(Consumer<? super PromptFilter> filter) {
        var request = PromptFilter.of(filter);
        return new Pages<>(
                transport,
                (size, token) -> new Call<>(
                        RegistryServiceGrpc.getListPromptsMethod(),
                        request.toBuilder()
                                .setPageSize(size)
                                .setPageToken(token)
                                .build(),
                        Prompts::page));
    }

    private static Page<Prompt> page(ListPromptsResponse answer) {
        var active = new HashMap<String, dev.promptledger.v1.PromptVersion>();
        answer.getActiveVersionsList().forEach(version -> active.put(version.getPromptId(), version));
        var prompts = answer.getPromptsList().stream()
                .map(prompt -> new Prompt(prompt, active.get(prompt.getPromptId())))
                .toList();
        return new Page<>(prompts, answer.getNextPageToken());
    }

    /** The active version. */
    public PromptVersion version(String name) {
        return version(name, selector -> {});
    }

    /** One version. */
    public PromptVersion version(String name, Consumer<? super VersionSelector> selector) {
        var selected = VersionSelector.of(selector);
        var request = GetVersionRequest.newBuilder().setName(name);
        setIfThere(selected.version, request::setVersionNumber);
        setIfThere(selected.label, request::setLabel);
        setIfThere(selected.checksumHash, request::setChecksumHash);
        setIfThere(selected.minRevision, request::setMinRevision);
        return transport.call(new Call<>(
                RegistryServiceGrpc.getGetVersionMethod(),
                request.build(),
                answer -> new PromptVersion(answer.getVersion())));
    }

    /** All versions, the newest first. */
    public Pages<PromptVersion> versions(String name) {
        return new Pages<>(
                transport,
                (size, token) -> new Call<>(
                        RegistryServiceGrpc.getListVersionsMethod(),
                        ListVersionsRequest.newBuilder()
                                .setName(name)
                                .setPageSize(size)
                                .setPageToken(token)
                                .build(),
                        answer -> new Page<>(versions(answer.getVersionsList()), answer.getNextPageToken())));
    }

    /** All versions with their {@code executionCount}, the newest first. */
    public Pages<PromptVersion> history(String name) {
        return history(name, PromptMode.UNKNOWN);
    }

    /**
     * All versions with their {@code executionCount}, the newest first, of a prompt that must be of this mode.
     *
     * @param mode {@link PromptMode#UNKNOWN}: any
     */
    public Pages<PromptVersion> history(String name, PromptMode mode) {
        var request = GetPromptHistoryRequest.newBuilder()
                .setName(name)
                .setModeValue(mode.ordinal())
                .build();
        return new Pages<>(
                transport,
                (size, token) -> new Call<>(
                        RegistryServiceGrpc.getGetPromptHistoryMethod(),
                        request.toBuilder()
                                .setPageSize(size)
                                .setPageToken(token)
                                .build(),
                        answer -> new Page<>(versions(answer.getVersionsList()), answer.getNextPageToken())));
    }

    private static List<PromptVersion> versions(List<dev.promptledger.v1.PromptVersion> versions) {
        return versions.stream().map(PromptVersion::new).toList();
    }

    /** Makes a version the active one: promotes it, or rolls back to it. */
    public Prompt activate(String name, int version) {
        return activate(name, version, options -> {});
    }

    /** Makes a version the active one: promotes it, or rolls back to it. */
    public Prompt activate(String name, int version, Consumer<? super WriteOptions> options) {
        var write = WriteOptions.of(options);
        var request = SetActiveVersionRequest.newBuilder().setName(name).setVersionNumber(version);
        setIfThere(write.etag, request::setEtag);
        return transport.call(new Call<>(
                RegistryServiceGrpc.getSetActiveVersionMethod(),
                request.setCreatedBy(write.createdBy).build(),
                answer -> new Prompt(answer.getPrompt(), answer.getActiveVersion()),
                write.etag == null));
    }

    /** Sets a label to a version; the answer's {@code version} is that one. */
    public Prompt label(String name, String label, int version) {
        return label(name, label, version, options -> {});
    }

    /** Sets a label to a version; the answer's {@code version} is that one. */
    public Prompt label(String name, String label, int version, Consumer<? super WriteOptions> options) {
        var write = WriteOptions.of(options);
        var request = SetLabelRequest.newBuilder().setName(name).setLabel(label).setVersionNumber(version);
        setIfThere(write.etag, request::setEtag);
        return transport.call(new Call<>(
                RegistryServiceGrpc.getSetLabelMethod(),
                request.setCreatedBy(write.createdBy).build(),
                answer -> new Prompt(answer.getPrompt(), answer.getVersion()),
                write.etag == null));
    }

    /** Removes a label. */
    public Prompt unlabel(String name, String label) {
        return unlabel(name, label, options -> {});
    }

    /** Removes a label. */
    public Prompt unlabel(String name, String label, Consumer<? super WriteOptions> options) {
        var write = WriteOptions.of(options);
        var request = RemoveLabelRequest.newBuilder().setName(name).setLabel(label);
        setIfThere(write.etag, request::setEtag);
        // The label that a first one removed is not found by a second one.
        return transport.call(new Call<>(
                RegistryServiceGrpc.getRemoveLabelMethod(),
                request.setCreatedBy(write.createdBy).build(),
                answer -> withoutVersion(answer.getPrompt()),
                false));
    }

    /** The active version, exactly as an execution would send it; records nothing. */
    public Rendered render(String name, Map<String, ?> variables) {
        return render(name, variables, selector -> {});
    }

    /** Exactly what an execution would send; records nothing. */
    public Rendered render(String name, Map<String, ?> variables, Consumer<? super VersionSelector> selector) {
        var selected = VersionSelector.of(selector);
        var request = RenderPromptRequest.newBuilder().setName(name);
        setIfThere(selected.version, request::setVersionNumber);
        setIfThere(selected.label, request::setLabel);
        setIfThere(selected.checksumHash, request::setChecksumHash);
        setIfThere(selected.minRevision, request::setMinRevision);
        return render(request, variables);
    }

    /** What an execution of a text that is not stored would send. */
    public Rendered renderDraft(String template, Map<String, ?> variables) {
        var draft = PromptDraft.newBuilder().setTemplateSource(template);
        return render(RenderPromptRequest.newBuilder().setDraft(draft), variables);
    }

    /** What an execution of a chat that is not stored would send. */
    public Rendered renderDraft(List<? extends ChatEntry> chat, Map<String, ?> variables) {
        var draft = PromptDraft.newBuilder().setChatTemplate(ChatEntry.template(chat));
        return render(RenderPromptRequest.newBuilder().setDraft(draft), variables);
    }

    private Rendered render(RenderPromptRequest.Builder request, Map<String, ?> variables) {
        request.setVariables(Json.struct(variables, "variables"));
        return transport.call(new Call<>(RegistryServiceGrpc.getRenderPromptMethod(), request.build(), Rendered::of));
    }

    /** Takes a prompt out of lists and makes it not executable; its name stays taken. */
    public Prompt archive(String name) {
        return archive(name, options -> {});
    }

    /** Takes a prompt out of lists and makes it not executable; its name stays taken. */
    public Prompt archive(String name, Consumer<? super WriteOptions> options) {
        var write = WriteOptions.of(options);
        var request = ArchivePromptRequest.newBuilder().setName(name).setCreatedBy(write.createdBy);
        setIfThere(write.etag, request::setEtag);
        return transport.call(new Call<>(
                RegistryServiceGrpc.getArchivePromptMethod(),
                request.build(),
                answer -> withoutVersion(answer.getPrompt()),
                write.etag == null));
    }

    /** Takes a prompt out of the archive. */
    public Prompt unarchive(String name) {
        return unarchive(name, options -> {});
    }

    /** Takes a prompt out of the archive. */
    public Prompt unarchive(String name, Consumer<? super WriteOptions> options) {
        var write = WriteOptions.of(options);
        var request = UnarchivePromptRequest.newBuilder().setName(name).setCreatedBy(write.createdBy);
        setIfThere(write.etag, request::setEtag);
        return transport.call(new Call<>(
                RegistryServiceGrpc.getUnarchivePromptMethod(),
                request.build(),
                answer -> withoutVersion(answer.getPrompt()),
                write.etag == null));
    }

    /** What was changed of all prompts of the project, the newest first. */
    public Pages<PromptChange> changes(ChangeKind... kinds) {
        return changes("", kinds);
    }

    /** What was changed of a prompt, the newest first; of these kinds, or of all where none is given. */
    public Pages<PromptChange> changes(String name, ChangeKind... kinds) {
        var request = ListPromptChangesRequest.newBuilder().setName(name);
        for (var kind : kinds) {
            request.addKindsValue(kind.ordinal());
        }
        var asked = request.build();
        return new Pages<>(
                transport,
                (size, token) -> new Call<>(
                        RegistryServiceGrpc.getListPromptChangesMethod(),
                        asked.toBuilder().setPageSize(size).setPageToken(token).build(),
                        answer -> new Page<>(
                                answer.getChangesList().stream()
                                        .map(PromptChange::new)
                                        .toList(),
                                answer.getNextPageToken())));
    }

    /** Several prompts, each with its active version. */
    public Batch batchGet(Collection<String> names) {
        return batchGet(names, "");
    }

    /** Several prompts, each with the version that a label points at. Any number of them, in as many calls as it takes. */
    public Batch batchGet(Collection<String> names, String label) {
        return batchGet(names, BatchGetPromptsRequest.newBuilder().setLabel(label));
    }

    /** The same, at that revision at least, as a write told it; {@code label} empty: the active versions. */
    public Batch batchGet(Collection<String> names, String label, long minRevision) {
        return batchGet(
                names, BatchGetPromptsRequest.newBuilder().setLabel(label).setMinRevision(minRevision));
    }

    private Batch batchGet(Collection<String> names, BatchGetPromptsRequest.Builder asking) {
        var found = new ArrayList<Prompt>();
        var missing = new ArrayList<String>();
        var left = new ArrayList<>(names);
        while (!left.isEmpty()) {
            var asked = left.subList(0, Math.min(BATCH, left.size()));
            var request = asking.clearNames().addAllNames(asked).build();
            var answer = transport.call(
                    new Call<>(RegistryServiceGrpc.getBatchGetPromptsMethod(), request, Function.identity()));
            answer.getFoundList()
                    .forEach(each ->
                            found.add(new Prompt(each.getPrompt(), each.hasVersion() ? each.getVersion() : null)));
            missing.addAll(answer.getMissingList());
            if (answer.getLeftOutCount() >= asked.size()) {
                throw Errors.noProgress("the server leaves out all the prompts that it is asked for");
            }
            asked.clear();
            // The answer was full.
            left.addAll(0, answer.getLeftOutList());
        }
        return new Batch(List.copyOf(found), List.copyOf(missing));
    }

    private static Prompt withoutVersion(dev.promptledger.v1.Prompt prompt) {
        return new Prompt(prompt, (dev.promptledger.v1.PromptVersion) null);
    }

    private static <T> void setIfThere(T value, Consumer<? super T> set) {
        if (value != null) {
            set.accept(value);
        }
    }
}
