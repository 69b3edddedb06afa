"""What calls answer: the records of the contract as plain values. ``raw`` is the message that each was read from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from prompt_ledger import proto
from prompt_ledger.errors import ExecutionFailed


def _words(enum_type: Any) -> Callable[[int], str]:
    """What the values of an enum are called: ``succeeded`` for ``EXECUTION_STATUS_SUCCEEDED``; empty where none is told."""
    items = enum_type.items()
    prefix = next(name for name, number in items if number == 0).removesuffix("UNSPECIFIED")
    words = {int(number): name.removeprefix(prefix).lower() for name, number in items}
    words[0] = ""
    # Enums are open: a newer server may know more values.
    return lambda number: words.get(number) or ("" if number == 0 else str(number))


status_word = _words(proto.ExecutionStatus)
_execution_mode_word = _words(proto.ExecutionMode)
_prompt_mode_word = _words(proto.PromptMode)
_version_status_word = _words(proto.VersionStatus)
_format_word = _words(proto.TemplateFormat)
_change_word = _words(proto.PromptChangeKind)
_action_word = _words(proto.RegistrationAction)


def as_datetime(stamp: Timestamp) -> datetime:
    """A time in UTC, to the microsecond. Much quicker than ``ToDatetime``."""
    return datetime.fromtimestamp(stamp.seconds, UTC).replace(microsecond=stamp.nanos // 1_000)


def _time(message: Message, name: str) -> datetime | None:
    """A time; ``None`` where it is absent."""
    return as_datetime(getattr(message, name)) if message.HasField(name) else None


def _number(message: Message, name: str) -> int | None:
    """An optional number."""
    return cast(int, getattr(message, name)) if message.HasField(name) else None


def as_dict(message: Message) -> dict[str, Any]:
    """A message in ProtoJSON, with the names of the contract."""
    return MessageToDict(message, preserving_proto_field_name=True)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to have a tool called; ``arguments`` as the model wrote them, mostly a JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution. A failed one is a result like any other: :meth:`raise_for_status` makes it an error."""

    id: str
    prompt_name: str
    version_number: int
    status: str
    """``queued``, ``running``, ``succeeded``, ``failed`` or ``canceled``."""
    mode: str
    """``sync`` or ``async``."""
    text: str
    """What the model answered; of one that did not succeed, what there was until then."""
    tool_calls: tuple[ToolCall, ...]
    finish_reason: str
    error_type: str
    error_message: str
    cancel_reason: str
    attempts: int
    label: str
    checksum_hash: str
    correlation_id: str
    idempotency_key: str
    rendered_prompt: str
    prompt_tokens: int | None
    response_tokens: int | None
    latency_ms: int | None
    cost_nano_usd: int | None
    created_at: datetime | None
    completed_at: datetime | None
    reused: bool
    """Whether the idempotency key found it."""
    raw: proto.Execution = field(repr=False, compare=False)

    @classmethod
    def read(cls, raw: proto.Execution, *, reused: bool = False) -> Execution:
        return cls(
            id=raw.execution_id,
            prompt_name=raw.prompt_name,
            version_number=raw.version_number,
            status=status_word(raw.status),
            mode=_execution_mode_word(raw.mode),
            text=raw.response_text,
            tool_calls=tuple(ToolCall(call.id, call.name, call.arguments) for call in raw.response_tool_calls),
            finish_reason=raw.finish_reason,
            error_type=raw.error_type,
            error_message=raw.error_message,
            cancel_reason=raw.cancel_reason,
            attempts=raw.attempts,
            label=raw.label,
            checksum_hash=raw.checksum_hash,
            correlation_id=raw.correlation_id,
            idempotency_key=raw.idempotency_key,
            rendered_prompt=raw.rendered_prompt,
            prompt_tokens=_number(raw, "prompt_tokens"),
            response_tokens=_number(raw, "response_tokens"),
            latency_ms=_number(raw, "latency_ms"),
            cost_nano_usd=_number(raw, "cost_nano_usd"),
            created_at=_time(raw, "created_at"),
            completed_at=_time(raw, "completed_at"),
            reused=reused,
            raw=raw,
        )

    @property
    def succeeded(self) -> bool:
        return self.status == "succeeded"

    def raise_for_status(self) -> Execution:
        """Returns itself where it succeeded or has not ended, else raises :class:`ExecutionFailed`."""
        if self.status in ("failed", "canceled"):
            raise ExecutionFailed(self)
        return self


@dataclass(frozen=True, slots=True)
class Submission:
    """What ``submit`` was answered."""

    id: str
    status: str
    reused: bool

    @classmethod
    def read(cls, raw: proto.SubmitExecutionResponse) -> Submission:
        return cls(raw.execution_id, status_word(raw.status), raw.reused)


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """One content of a prompt. It never changes; its status and its labels may."""

    prompt_name: str
    number: int
    status: str
    """``draft``, ``active`` or ``deprecated``."""
    template: str
    """The text; empty where the content is a chat, which :attr:`chat` has."""
    template_format: str
    """``handlebars`` or ``opaque``."""
    checksum_hash: str
    variables: tuple[str, ...]
    """The names of the variables that the template reads."""
    labels: tuple[str, ...]
    note: str
    created_by: str
    created_at: datetime | None
    execution_count: int | None
    """In a history only."""
    raw: proto.PromptVersion = field(repr=False, compare=False)

    @classmethod
    def read(cls, raw: proto.PromptVersion) -> PromptVersion:
        return cls(
            prompt_name=raw.prompt_name,
            number=raw.version_number,
            status=_version_status_word(raw.status),
            template=raw.template_source,
            template_format=_format_word(raw.template_format),
            checksum_hash=raw.checksum_hash,
            variables=tuple(variable.name for variable in raw.variables),
            labels=tuple(raw.labels),
            note=raw.note,
            created_by=raw.created_by,
            created_at=_time(raw, "created_at"),
            execution_count=_number(raw, "execution_count"),
            raw=raw,
        )

    @property
    def chat(self) -> list[dict[str, Any]]:
        """The entries of a chat, in the form that ``prompts.put`` takes; empty where the content is a text."""
        return [entry.get("message") or entry for entry in map(as_dict, self.raw.chat_template.entries)]

    @property
    def config(self) -> dict[str, Any]:
        """What the content was tuned with; empty where there is nothing."""
        return as_dict(self.raw.config)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt, with the version that came with it."""

    name: str
    mode: str
    """``full`` or ``tracking``."""
    description: str
    owner_team: str
    tags: tuple[str, ...]
    active_version: int | None
    latest_version: int
    labels: dict[str, int]
    """The version number that each label points at."""
    etag: str
    revision: int
    archived_at: datetime | None
    created_at: datetime | None
    updated_at: datetime | None
    version: PromptVersion | None
    """The active version, or the one that was asked for; ``None`` where there is none, or the call does not tell."""
    raw: proto.Prompt = field(repr=False, compare=False)

    @classmethod
    def read(cls, raw: proto.Prompt, version: proto.PromptVersion | None = None) -> Prompt:
        return cls(
            name=raw.name,
            mode=_prompt_mode_word(raw.mode),
            description=raw.description,
            owner_team=raw.owner_team,
            tags=tuple(raw.tags),
            active_version=_number(raw, "active_version_number"),
            latest_version=raw.latest_version_number,
            labels={label.label: label.version_number for label in raw.labels},
            etag=raw.etag,
            revision=raw.revision,
            archived_at=_time(raw, "archived_at"),
            created_at=_time(raw, "created_at"),
            updated_at=_time(raw, "updated_at"),
            version=PromptVersion.read(version) if version is not None else None,
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class WrittenPrompt:
    """What ``prompts.put`` did."""

    prompt: Prompt
    version: PromptVersion
    version_change: bool
    """Whether the version was created."""
    activated: bool
    """Whether the call made it the active one."""
    warnings: tuple[str, ...]
    revision: int
    """The project's revision now: ``min_revision`` of a later read, ``reached`` of a cache."""

    @classmethod
    def read(cls, raw: proto.PutPromptResponse) -> WrittenPrompt:
        version = PromptVersion.read(raw.version)
        prompt = Prompt.read(raw.prompt, raw.version)
        return cls(prompt, version, raw.version_change, raw.activated, tuple(raw.warnings), raw.revision)


@dataclass(frozen=True, slots=True)
class Rendered:
    """What an execution would send: a text, or messages."""

    text: str
    messages: tuple[dict[str, Any], ...]
    truncated: bool
    version: PromptVersion | None

    @classmethod
    def read(cls, raw: proto.RenderPromptResponse) -> Rendered:
        version = PromptVersion.read(raw.version) if raw.HasField("version") else None
        return cls(raw.rendered_prompt, tuple(map(as_dict, raw.messages)), raw.prompt_truncated, version)


@dataclass(frozen=True, slots=True)
class PromptChange:
    """An entry of the change log."""

    prompt_name: str
    kind: str
    """Such as ``created``, ``version_created``, ``activated`` or ``label_set``."""
    version_number: int | None
    label: str
    from_value: str
    to_value: str
    created_by: str
    key_name: str
    revision: int
    at: datetime | None
    raw: proto.PromptChangeEntry = field(repr=False, compare=False)

    @classmethod
    def read(cls, raw: proto.PromptChangeEntry) -> PromptChange:
        return cls(
            prompt_name=raw.prompt_name,
            kind=_change_word(raw.kind),
            version_number=_number(raw, "version_number"),
            label=raw.label,
            from_value=raw.from_value,
            to_value=raw.to_value,
            created_by=raw.created_by,
            key_name=raw.key_name,
            revision=raw.revision,
            at=_time(raw, "at"),
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """What ``prompts.batch_get`` found, in the order asked for."""

    found: tuple[Prompt, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RegisteredPrompt:
    """What registering one prompt came to, or would come to."""

    name: str
    action: str
    """``new``, ``updated``, ``reactivated`` or ``unchanged``."""
    version: int
    previous_version: int | None
    change_detected: bool
    checksum_hash: str
    warnings: tuple[str, ...]

    @classmethod
    def read(cls, raw: proto.RegisteredPrompt) -> RegisteredPrompt:
        return cls(
            name=raw.name,
            action=_action_word(raw.action),
            version=raw.version,
            previous_version=_number(raw, "previous_version"),
            change_detected=raw.change_detected,
            checksum_hash=raw.checksum_hash,
            warnings=tuple(raw.warnings),
        )
