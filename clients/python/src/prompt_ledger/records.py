"""What calls answer: the records of the contract as plain values. ``raw`` is the message that each is read from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast

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


_EARLIEST, _LATEST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


def as_datetime(stamp: Timestamp) -> datetime:
    """A time in UTC, to the microsecond; the nearest one that Python has. Much quicker than ``ToDatetime``."""
    try:
        return datetime.fromtimestamp(stamp.seconds, UTC).replace(microsecond=stamp.nanos // 1_000)
    except (ValueError, OverflowError, OSError):
        return _EARLIEST if stamp.seconds < 0 else _LATEST


def _time(message: Message, name: str) -> datetime | None:
    """A time; ``None`` where it is absent."""
    return as_datetime(getattr(message, name)) if message.HasField(name) else None


def _number(message: Message, name: str) -> int | None:
    """An optional number."""
    return cast(int, getattr(message, name)) if message.HasField(name) else None


def as_dict(message: Message) -> dict[str, Any]:
    """A message in ProtoJSON, with the names of the contract."""
    return MessageToDict(message, preserving_proto_field_name=True)


M = TypeVar("M", bound=Message)

_Readers = Mapping[str, Callable[[M], object]]
"""How each field is read from the message."""

# A frozen dataclass has no other way to be made without all of its fields.
_new, _set = object.__new__, object.__setattr__


class _Record(Generic[M]):
    """A frozen dataclass with slots whose fields are read from a message, ``raw``. Each is read when it is first asked for, and
    kept: most callers need few of them.
    """

    __slots__ = ()
    _readers: ClassVar[_Readers[Any]] = {}

    @classmethod
    def read(cls, raw: M) -> Self:
        record = _new(cls)
        _set(record, "raw", raw)
        return record

    # Python calls it where a slot is empty. Type checkers do not see it: to them a record has its fields, and nothing else.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            reader = self._readers.get(name)
            if reader is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
            value = reader(self.raw)
            _set(self, name, value)
            return value


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to have a tool called; ``arguments`` as the model wrote them, mostly a JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Execution(_Record[proto.Execution]):
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

    _readers: ClassVar[_Readers[proto.Execution]] = {
        "id": lambda raw: raw.execution_id,
        "prompt_name": lambda raw: raw.prompt_name,
        "version_number": lambda raw: raw.version_number,
        "status": lambda raw: status_word(raw.status),
        "mode": lambda raw: _execution_mode_word(raw.mode),
        "text": lambda raw: raw.response_text,
        "tool_calls": lambda raw: tuple(ToolCall(call.id, call.name, call.arguments) for call in raw.response_tool_calls),
        "finish_reason": lambda raw: raw.finish_reason,
        "error_type": lambda raw: raw.error_type,
        "error_message": lambda raw: raw.error_message,
        "cancel_reason": lambda raw: raw.cancel_reason,
        "attempts": lambda raw: raw.attempts,
        "label": lambda raw: raw.label,
        "checksum_hash": lambda raw: raw.checksum_hash,
        "correlation_id": lambda raw: raw.correlation_id,
        "idempotency_key": lambda raw: raw.idempotency_key,
        "rendered_prompt": lambda raw: raw.rendered_prompt,
        "prompt_tokens": lambda raw: _number(raw, "prompt_tokens"),
        "response_tokens": lambda raw: _number(raw, "response_tokens"),
        "latency_ms": lambda raw: _number(raw, "latency_ms"),
        "cost_nano_usd": lambda raw: _number(raw, "cost_nano_usd"),
        "created_at": lambda raw: _time(raw, "created_at"),
        "completed_at": lambda raw: _time(raw, "completed_at"),
    }

    @classmethod
    def read(cls, raw: proto.Execution, *, reused: bool = False) -> Self:
        execution = _new(cls)
        _set(execution, "raw", raw)
        _set(execution, "reused", reused)
        return execution

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
class PromptVersion(_Record[proto.PromptVersion]):
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

    _readers: ClassVar[_Readers[proto.PromptVersion]] = {
        "prompt_name": lambda raw: raw.prompt_name,
        "number": lambda raw: raw.version_number,
        "status": lambda raw: _version_status_word(raw.status),
        "template": lambda raw: raw.template_source,
        "template_format": lambda raw: _format_word(raw.template_format),
        "checksum_hash": lambda raw: raw.checksum_hash,
        "variables": lambda raw: tuple(variable.name for variable in raw.variables),
        "labels": lambda raw: tuple(raw.labels),
        "note": lambda raw: raw.note,
        "created_by": lambda raw: raw.created_by,
        "created_at": lambda raw: _time(raw, "created_at"),
        "execution_count": lambda raw: _number(raw, "execution_count"),
    }

    @property
    def chat(self) -> list[dict[str, Any]]:
        """The entries of a chat, in the form that ``prompts.put`` takes; empty where the content is a text."""
        return [entry.get("message") or entry for entry in map(as_dict, self.raw.chat_template.entries)]

    @property
    def config(self) -> dict[str, Any]:
        """What the content was tuned with; empty where there is nothing."""
        return as_dict(self.raw.config)


@dataclass(frozen=True, slots=True)
class Prompt(_Record[proto.Prompt]):
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

    _readers: ClassVar[_Readers[proto.Prompt]] = {
        "name": lambda raw: raw.name,
        "mode": lambda raw: _prompt_mode_word(raw.mode),
        "description": lambda raw: raw.description,
        "owner_team": lambda raw: raw.owner_team,
        "tags": lambda raw: tuple(raw.tags),
        "active_version": lambda raw: _number(raw, "active_version_number"),
        "latest_version": lambda raw: raw.latest_version_number,
        "labels": lambda raw: {label.label: label.version_number for label in raw.labels},
        "etag": lambda raw: raw.etag,
        "revision": lambda raw: raw.revision,
        "archived_at": lambda raw: _time(raw, "archived_at"),
        "created_at": lambda raw: _time(raw, "created_at"),
        "updated_at": lambda raw: _time(raw, "updated_at"),
    }

    @classmethod
    def read(cls, raw: proto.Prompt, version: proto.PromptVersion | None = None) -> Self:
        prompt = _new(cls)
        _set(prompt, "raw", raw)
        _set(prompt, "version", PromptVersion.read(version) if version is not None else None)
        return prompt


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
class PromptChange(_Record[proto.PromptChangeEntry]):
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

    _readers: ClassVar[_Readers[proto.PromptChangeEntry]] = {
        "prompt_name": lambda raw: raw.prompt_name,
        "kind": lambda raw: _change_word(raw.kind),
        "version_number": lambda raw: _number(raw, "version_number"),
        "label": lambda raw: raw.label,
        "from_value": lambda raw: raw.from_value,
        "to_value": lambda raw: raw.to_value,
        "created_by": lambda raw: raw.created_by,
        "key_name": lambda raw: raw.key_name,
        "revision": lambda raw: raw.revision,
        "at": lambda raw: _time(raw, "at"),
    }


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
