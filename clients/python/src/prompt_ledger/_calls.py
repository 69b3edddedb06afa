"""Every call that answers once: what is sent, whether it may be repeated, and what its answer is read as. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar

from prompt_ledger import _spec, proto
from prompt_ledger import _values as values
from prompt_ledger._values import Json
from prompt_ledger.errors import Internal
from prompt_ledger.records import (
    Batch,
    Execution,
    Prompt,
    PromptChange,
    PromptVersion,
    Rendered,
    Submission,
    WrittenPrompt,
)

T = TypeVar("T")

# Names of one BatchGetPrompts.
_BATCH = 100


class Call(NamedTuple, Generic[T]):
    """One call: the stub and its method, the request, and how its answer is read."""

    service: str
    method: str
    request: Any
    read: Callable[[Any], T]
    freely: bool = True
    """Whether it may be done twice. Else it is repeated only where the server has not begun with it."""
    limit: float | None = None
    """Seconds for all its attempts together; the client's timeout where there is none."""


Page = tuple[list[T], str]
"""Items, and the token of the next page; empty where there is none."""

Pages = Callable[[str], Call[Page[T]]]
"""The call for the page of a token."""


def check_further(token: str, following: str) -> bool:
    """Whether there is another page behind the one of ``token``."""
    if following and following == token:
        raise Internal("the server answers the same page again and again")
    return bool(following)


Program = Generator[Call[Any], Any, T]
"""Several calls, one after the other: yields each, is sent its answer, and returns the result of all."""


# Executions.


def run(spec: proto.ExecutionSpec, *, tracking: bool, limit: float | None) -> Call[Execution]:
    """Executes within the call. Without a key a repeat might call the model, and pay, twice."""

    def read(answer: proto.RunExecutionResponse | proto.ExecuteCodePromptResponse) -> Execution:
        return Execution.read(answer.execution, reused=answer.reused)

    freely, limit = bool(spec.idempotency_key), _spec.deadline(spec) if limit is None else limit
    if not tracking:
        return Call("executions", "RunExecution", proto.RunExecutionRequest(spec=spec), read, freely, limit)
    request = proto.ExecuteCodePromptRequest(spec=spec, mode=proto.EXECUTION_MODE_SYNC)
    return Call("code", "ExecuteCodePrompt", request, read, freely, limit)


def submit(spec: proto.ExecutionSpec, *, tracking: bool, limit: float | None) -> Call[Submission]:
    """Hands over to a worker; the spec has an idempotency key."""
    if not tracking:
        request = proto.SubmitExecutionRequest(spec=spec)
        return Call("executions", "SubmitExecution", request, Submission.read, limit=limit)

    def read(answer: proto.ExecuteCodePromptResponse) -> Submission:
        execution = Execution.read(answer.execution)
        return Submission(execution.id, execution.status, answer.reused)

    code = proto.ExecuteCodePromptRequest(spec=spec, mode=proto.EXECUTION_MODE_ASYNC)
    return Call("code", "ExecuteCodePrompt", code, read, limit=limit)


def get_execution(execution_id: str) -> Call[Execution]:
    request = proto.GetExecutionRequest(execution_id=execution_id)
    return Call("executions", "GetExecution", request, lambda answer: Execution.read(answer.execution))


def cancel(execution_id: str, reason: str) -> Call[Execution]:
    request = proto.CancelExecutionRequest(execution_id=execution_id, reason=reason)
    return Call("executions", "CancelExecution", request, lambda answer: Execution.read(answer.execution))


class ExecutionFilter(TypedDict, total=False):
    """Which executions to list; filters are joined by "and"."""

    prompt_name: str
    version: int
    label: str
    statuses: Sequence[str]
    mode: str
    environment: str
    model: str | Json | proto.ModelRef
    error_type: str
    correlation_id: str
    metadata: Mapping[str, str]
    start_time: datetime
    end_time: datetime
    full: bool
    """Whether to tell the texts too."""
    page_size: int


class TailFilter(TypedDict, total=False):
    """Which executions to tail; filters are joined by "and"."""

    prompt_name: str
    environment: str
    correlation_id: str
    statuses: Sequence[str]
    since: datetime
    """Begin with what has changed since then, beside what is unfinished."""
    full: bool
    """Whether to tell the texts too."""


def _filter(options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that lists and tails of executions share."""
    fields = dict(options)
    if "statuses" in fields:
        statuses = fields["statuses"]
        fields["statuses"] = [values.enum(proto.ExecutionStatus, "EXECUTION_STATUS_", each) for each in statuses]
    for name in ("since", "start_time", "end_time"):
        if name in fields:
            fields[name] = values.timestamp(fields[name])
    if fields.pop("full", False):
        fields["view"] = proto.EXECUTION_VIEW_FULL
    return fields


def list_executions(options: ExecutionFilter) -> Pages[Execution]:
    fields = _filter(options)
    if "version" in fields:
        fields["version_number"] = fields.pop("version")
    if "model" in fields:
        fields["model"] = values.model(fields["model"])
    if "mode" in fields:
        fields["mode"] = values.enum(proto.ExecutionMode, "EXECUTION_MODE_", fields["mode"])

    def read(answer: proto.ListExecutionsResponse) -> Page[Execution]:
        return [Execution.read(each) for each in answer.executions], answer.next_page_token

    return lambda token: Call("executions", "ListExecutions", proto.ListExecutionsRequest(page_token=token, **fields), read)


def tail_request(options: TailFilter) -> proto.WatchExecutionsRequest:
    return proto.WatchExecutionsRequest(**_filter(options))


# Prompts.


class PutOptions(TypedDict, total=False):
    """What to write beside a text. What is absent is kept, what is empty is cleared."""

    chat: Sequence[Json | proto.ChatTemplateEntry]
    """The content as a chat, instead of a text: messages, and ``{"placeholder": NAME}``."""
    config: Json | proto.VersionConfig
    """What the content was tuned with: ``model``, ``params``, ``tools`` and so on. Part of the content."""
    set_active: bool
    """Whether to make the version with this content the active one."""
    labels: Sequence[str]
    """Labels to set to it."""
    description: str
    owner_team: str
    tags: Sequence[str]
    created_by: str
    note: str
    create_only: bool
    """Whether the prompt must not exist yet."""
    etag: str
    """The etag that the prompt must have."""


class WriteOptions(TypedDict, total=False):
    """What a write of a prompt may be told."""

    etag: str
    """The etag that the prompt must have."""
    created_by: str
    """Who writes; stored in the change log."""


def _content(template: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """The fields of a content, taken out of the options."""
    fields: dict[str, Any] = {}
    chat = options.pop("chat", None)
    if template is not None and chat is not None:
        raise TypeError("give either a template or a chat")
    if template is not None:
        fields["template_source"] = template
    if chat is not None:
        fields["chat_template"] = values.chat(chat)
    if "config" in options:
        fields["config"] = values.config(options.pop("config"))
    return fields


def put(name: str, template: str | None, options: PutOptions) -> Call[WrittenPrompt]:
    fields: dict[str, Any] = dict(options)
    fields |= _content(template, fields)
    if "tags" in fields:
        fields["tags"] = proto.Tags(values=fields["tags"])
    # A repeat after a lost answer would meet what the first one wrote.
    freely = not fields.get("create_only") and "etag" not in fields
    request = proto.PutPromptRequest(name=name, **fields)
    return Call("registry", "PutPrompt", request, WrittenPrompt.read, freely=freely)


def get_prompt(name: str, min_revision: int | None) -> Call[Prompt]:
    def read(answer: proto.GetPromptResponse) -> Prompt:
        return Prompt.read(answer.prompt, answer.active_version if answer.HasField("active_version") else None)

    return Call("registry", "GetPrompt", proto.GetPromptRequest(name=name, min_revision=min_revision), read)


class PromptFilter(TypedDict, total=False):
    """Which prompts to list; filters are joined by "and"."""

    mode: str
    """``full`` or ``tracking``."""
    owner_team: str
    name_prefix: str
    tag: str
    label: str
    query: str
    """Words that the name or the description holds."""
    include_archived: bool
    page_size: int


def list_prompts(options: PromptFilter) -> Pages[Prompt]:
    fields: dict[str, Any] = dict(options)
    if "mode" in fields:
        fields["mode"] = values.enum(proto.PromptMode, "PROMPT_MODE_", fields["mode"])

    def read(answer: proto.ListPromptsResponse) -> Page[Prompt]:
        active = {version.prompt_id: version for version in answer.active_versions}
        return [Prompt.read(each, active.get(each.prompt_id)) for each in answer.prompts], answer.next_page_token

    return lambda token: Call("registry", "ListPrompts", proto.ListPromptsRequest(page_token=token, **fields), read)


class VersionSelector(TypedDict, total=False):
    """Which version; the active one where nothing is given."""

    version: int
    label: str
    checksum_hash: str
    min_revision: int
    """The least revision to read at, as a write told it."""


def _selected(options: VersionSelector) -> dict[str, Any]:
    fields: dict[str, Any] = dict(options)
    if "version" in fields:
        fields["version_number"] = fields.pop("version")
    return fields


def get_version(name: str, options: VersionSelector) -> Call[PromptVersion]:
    request = proto.GetVersionRequest(name=name, **_selected(options))
    return Call("registry", "GetVersion", request, lambda answer: PromptVersion.read(answer.version))


def list_versions(name: str, page_size: int) -> Pages[PromptVersion]:
    def read(answer: proto.ListVersionsResponse) -> Page[PromptVersion]:
        return [PromptVersion.read(each) for each in answer.versions], answer.next_page_token

    return lambda token: Call(
        "registry", "ListVersions", proto.ListVersionsRequest(name=name, page_size=page_size, page_token=token), read
    )


def history(name: str, mode: str, page_size: int) -> Pages[PromptVersion]:
    expected = values.enum(proto.PromptMode, "PROMPT_MODE_", mode) if mode else proto.PROMPT_MODE_UNSPECIFIED

    def read(answer: proto.GetPromptHistoryResponse) -> Page[PromptVersion]:
        return [PromptVersion.read(each) for each in answer.versions], answer.next_page_token

    def page(token: str) -> Call[Page[PromptVersion]]:
        request = proto.GetPromptHistoryRequest(name=name, mode=expected, page_size=page_size, page_token=token)
        return Call("registry", "GetPromptHistory", request, read)

    return page


def activate(name: str, version: int, options: WriteOptions) -> Call[Prompt]:
    request = proto.SetActiveVersionRequest(name=name, version_number=version, **options)
    return Call(
        "registry",
        "SetActiveVersion",
        request,
        lambda answer: Prompt.read(answer.prompt, answer.active_version),
        freely="etag" not in options,
    )


def set_label(name: str, label: str, version: int, options: WriteOptions) -> Call[Prompt]:
    request = proto.SetLabelRequest(name=name, label=label, version_number=version, **options)
    return Call(
        "registry",
        "SetLabel",
        request,
        lambda answer: Prompt.read(answer.prompt, answer.version),
        freely="etag" not in options,
    )


def remove_label(name: str, label: str, options: WriteOptions) -> Call[Prompt]:
    request = proto.RemoveLabelRequest(name=name, label=label, **options)
    # The label that a first one removed is not found by a second one.
    return Call("registry", "RemoveLabel", request, lambda answer: Prompt.read(answer.prompt), freely=False)


def archive(name: str, options: WriteOptions) -> Call[Prompt]:
    request = proto.ArchivePromptRequest(name=name, **options)
    return Call("registry", "ArchivePrompt", request, lambda answer: Prompt.read(answer.prompt), freely="etag" not in options)


def unarchive(name: str, options: WriteOptions) -> Call[Prompt]:
    request = proto.UnarchivePromptRequest(name=name, **options)
    return Call("registry", "UnarchivePrompt", request, lambda answer: Prompt.read(answer.prompt), freely="etag" not in options)


def render(name: str, variables: Json | None, options: VersionSelector) -> Call[Rendered]:
    given = values.struct(variables) if variables is not None else None
    request = proto.RenderPromptRequest(name=name, variables=given, **_selected(options))
    return Call("registry", "RenderPrompt", request, Rendered.read)


class DraftOptions(TypedDict, total=False):
    """A content that is not stored, beside a text."""

    chat: Sequence[Json | proto.ChatTemplateEntry]
    config: Json | proto.VersionConfig


def render_draft(template: str | None, variables: Json | None, options: DraftOptions) -> Call[Rendered]:
    draft = proto.PromptDraft(**_content(template, dict(options)))
    given = values.struct(variables) if variables is not None else None
    return Call("registry", "RenderPrompt", proto.RenderPromptRequest(draft=draft, variables=given), Rendered.read)


def list_changes(name: str, kinds: Sequence[str], page_size: int) -> Pages[PromptChange]:
    wanted = [values.enum(proto.PromptChangeKind, "PROMPT_CHANGE_KIND_", kind) for kind in kinds]

    def read(answer: proto.ListPromptChangesResponse) -> Page[PromptChange]:
        return [PromptChange.read(each) for each in answer.changes], answer.next_page_token

    def page(token: str) -> Call[Page[PromptChange]]:
        request = proto.ListPromptChangesRequest(name=name, kinds=wanted, page_size=page_size, page_token=token)
        return Call("registry", "ListPromptChanges", request, read)

    return page


def batch_get(names: Sequence[str], label: str, min_revision: int | None) -> Program[Batch]:
    """Any number of prompts, in as many calls as it takes."""
    found: list[Prompt] = []
    missing: list[str] = []
    left = list(names)
    while left:
        asked, left = left[:_BATCH], left[_BATCH:]
        request = proto.BatchGetPromptsRequest(names=asked, label=label, min_revision=min_revision)
        answer: proto.BatchGetPromptsResponse = yield Call("registry", "BatchGetPrompts", request, lambda it: it)
        found += [Prompt.read(each.prompt, each.version if each.HasField("version") else None) for each in answer.found]
        missing += answer.missing
        if len(answer.left_out) >= len(asked):
            raise Internal("the server leaves out all the prompts that it is asked for")
        # The answer was full.
        left = [*answer.left_out, *left]
    return Batch(tuple(found), tuple(missing))
