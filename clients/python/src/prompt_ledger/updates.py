"""What watches and tails yield."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from prompt_ledger import proto
from prompt_ledger.records import Execution, as_datetime, status_word


@dataclass(frozen=True, slots=True)
class Joined:
    """The idempotency key found an execution that exists: the updates are those of that one."""

    execution_id: str


@dataclass(frozen=True, slots=True)
class StateChange:
    """The execution changed its status."""

    execution_id: str
    sequence: int
    """Numbers the execution's changes from 1, without gaps."""
    at: datetime
    from_status: str
    """Empty for the first change."""
    to_status: str
    attempt: int
    """The attempt that the change belongs to; 0 before the first."""
    error_type: str
    """Why the attempt failed, such as ``rate_limited``; empty where nothing failed."""
    next_attempt_at: datetime | None
    prompt_name: str
    """In tails only."""

    @classmethod
    def read(cls, event: proto.ExecutionEvent) -> StateChange:
        changed = event.state_changed
        due = as_datetime(changed.next_attempt_at) if changed.HasField("next_attempt_at") else None
        return cls(
            execution_id=event.execution_id,
            sequence=event.sequence,
            at=as_datetime(event.at),
            from_status=status_word(getattr(changed, "from")),
            to_status=status_word(changed.to),
            attempt=changed.attempt,
            error_type=changed.error_type,
            next_attempt_at=due,
            prompt_name=changed.prompt_name,
        )


@dataclass(frozen=True, slots=True)
class Restarted:
    """Another attempt writes: drop the text that you have."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Text:
    """More text, to be appended. Before :class:`Ended` all of the response's text has come, also where it was not streamed."""

    attempt: int
    offset: int
    """Where it begins, in UTF-8 bytes of the attempt's text."""
    text: str
    """Never empty."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The execution after its end; the last update."""

    execution: Execution


Update = Joined | StateChange | Restarted | Text | Ended


@dataclass(frozen=True, slots=True)
class Found:
    """An execution that was there when the tail began, or that changed while it was interrupted."""

    sequence: int
    """That of its last change."""
    execution: Execution


@dataclass(frozen=True, slots=True)
class Synced:
    """Every execution that was there when the tail began has been told. Told once."""


@dataclass(frozen=True, slots=True)
class Changed:
    """An execution changed its status; with the execution where that was its end."""

    change: StateChange
    execution: Execution | None


TailUpdate = Found | Synced | Changed
