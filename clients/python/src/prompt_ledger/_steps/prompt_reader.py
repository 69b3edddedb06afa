"""Reads the streams of prompts."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import grpc

from prompt_ledger import proto
from prompt_ledger._steps.machine import Reader, StreamCall, Taken
from prompt_ledger._steps.retry import Failure
from prompt_ledger.errors import LedgerError


@dataclass(frozen=True, slots=True)
class Put:
    """A prompt's whole present state."""

    state: proto.PromptChange


@dataclass(frozen=True, slots=True)
class Only:
    """No other prompts than these are there."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reached:
    """Everything up to this revision has been told."""

    revision: int


@dataclass(frozen=True, slots=True)
class Current:
    """Nothing is missing."""


@dataclass(frozen=True, slots=True)
class Behind:
    """Something may be missing: the stream broke, or the server knows of changes that it has not sent."""


# Too much is asked at once, a server failed, or is of a release that does not know the call: that passes.
PASSING = frozenset(
    (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
    )
)

PromptUpdate = Put | Only | Reached | Current | Behind


def _message(answer: proto.WatchPromptsResponse) -> proto.WatchPromptsResponse:
    return answer


class PromptReader(Reader[proto.WatchPromptsResponse, PromptUpdate]):
    """What is known of the stream's place, over several streams."""

    def __init__(self, names: tuple[str, ...], name_prefix: str, cursor: int) -> None:
        self._names, self._name_prefix, self._cursor = names, name_prefix, cursor
        # The prompts that the present stream has told; None where it did not begin at 0, or has told all that was there.
        self._seen: set[str] | None = None
        # The parts of a state that is not told whole yet.
        self._parts: proto.PromptChange | None = None

    def ask(self) -> StreamCall[proto.WatchPromptsResponse]:
        request = proto.WatchPromptsRequest(names=self._names, name_prefix=self._name_prefix, after_revision=self._cursor)
        return StreamCall("registry", "WatchPrompts", request, _message)

    def begins(self) -> None:
        self._parts = None
        self._seen = set() if self._cursor == 0 else None

    def take(self, message: proto.WatchPromptsResponse, updates: deque[PromptUpdate]) -> Taken:
        is_current = False
        match message.WhichOneof("kind"):
            case "change":
                state = self._whole(message.change)
                if state is not None:
                    if self._seen is not None:
                        self._seen.add(state.prompt.name)
                    updates.append(Put(state))
            case "synced":
                if self._seen is not None:
                    updates.append(Only(frozenset(self._seen)))
                    self._seen = None
                is_current = True
            case "heartbeat":
                if message.heartbeat.behind:
                    updates.append(Behind())
                else:
                    is_current = self._seen is None and self._parts is None
        # Also of a kind that is not known.
        is_further = message.revision > self._cursor
        if is_further:
            self._cursor = message.revision
            updates.append(Reached(self._cursor))
        if is_current:
            updates.append(Current())
        # A stream that breaks each time before it has come further gets nowhere, however much it tells.
        return Taken.NEWS if is_further or is_current else Taken.NOTHING

    def broke(self, failure: Failure, updates: deque[PromptUpdate]) -> bool:
        updates.append(Behind())
        if not isinstance(failure, LedgerError):
            return False
        if failure.reason in ("EVENTS_COMPACTED", "REVISION_AHEAD") and self._cursor > 0:
            # Nothing can be resumed: everything is told again, and what is not told is gone.
            self._cursor = 0
            updates.append(Reached(0))
            return True
        return failure.code in PASSING

    def _whole(self, change: proto.PromptChange) -> proto.PromptChange | None:
        """The state that this change completes; None where more of it follows."""
        parts, self._parts = self._parts, None
        whole = change
        if parts is not None and parts.prompt.prompt_id == change.prompt.prompt_id:
            parts.labelled_versions.extend(change.labelled_versions)
            parts.more_follows = change.more_follows
            whole = parts
        if whole.more_follows:
            self._parts = whole
            return None
        return whole if whole.HasField("prompt") else None
