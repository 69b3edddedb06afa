"""Reads the streams of all executions that match."""

from __future__ import annotations

import bisect
from collections import deque

from google.protobuf.timestamp_pb2 import Timestamp

from prompt_ledger import proto
from prompt_ledger._steps.machine import Reader, StreamCall, Taken
from prompt_ledger.records import Execution
from prompt_ledger.updates import Changed, Found, StateChange, Synced, TailUpdate

# Executions that are remembered: at least these, the most recent ones; at most twice as many.
_REMEMBERED = 10_000
# Most sequences of one execution that are remembered beyond the gapless ones.
_APART = 64


def _event(answer: proto.WatchExecutionsResponse) -> proto.ExecutionEvent:
    return answer.event


class Tailer(Reader[proto.ExecutionEvent, TailUpdate]):
    """What is known of the executions that match, over several streams."""

    def __init__(self, request: proto.WatchExecutionsRequest) -> None:
        self._request = proto.WatchExecutionsRequest()
        self._request.CopyFrom(request)
        self._seen = _SeenExecutions(_REMEMBERED)
        # The server's time at the present stream's first message.
        self._began: Timestamp | None = None
        self._synced = False
        self._told_synced = False

    def ask(self) -> StreamCall[proto.ExecutionEvent]:
        request = proto.WatchExecutionsRequest()
        request.CopyFrom(self._request)
        return StreamCall("executions", "WatchExecutions", request, _event)

    def begins(self) -> None:
        self._began, self._synced = None, False

    def take(self, message: proto.ExecutionEvent, updates: deque[TailUpdate]) -> Taken:
        if self._began is None:
            self._began = message.at
        match message.WhichOneof("kind"):
            case "snapshot":
                through = message.snapshot.through_sequence
                new = self._seen.through(message.execution_id, through)
                if not new or not message.snapshot.HasField("execution"):
                    return Taken.NOTHING
                updates.append(Found(through, Execution.read(message.snapshot.execution)))
            case "state_changed":
                new = self._seen.one(message.execution_id, message.sequence)
                self._told_until(message.at)
                if not new:
                    return Taken.NOTHING
                changed = message.state_changed
                execution = Execution.read(changed.execution) if changed.HasField("execution") else None
                updates.append(Changed(StateChange.read(message), execution))
            case "synced":
                self._synced = True
                # Changes during the first part of the stream may still follow.
                self._told_until(self._began)
                if self._told_synced:
                    return Taken.NOTHING
                self._told_synced = True
                updates.append(Synced())
            case "heartbeat":
                # It says nothing of what was sent before.
                pass
            case _:
                return Taken.NOTHING
        return Taken.NEWS

    def _told_until(self, at: Timestamp) -> None:
        """Moves ``since``, never backwards. A stream that has not synced has not told all, and moves nothing."""
        since = self._request.since
        if self._synced and (not self._request.HasField("since") or (since.seconds, since.nanos) < (at.seconds, at.nanos)):
            since.CopyFrom(at)


class _SeenExecutions:
    """The sequences that were read, of the most recent executions."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._now: dict[str, _Life] = {}
        self._before: dict[str, _Life] = {}

    def through(self, execution_id: str, sequence: int) -> bool:
        """Records a snapshot of the execution after this sequence; returns whether it is new."""
        life, first = self._life(execution_id)
        known = life.knows(sequence)
        life.through = max(life.through, sequence)
        life.settle()
        return first or not known

    def one(self, execution_id: str, sequence: int) -> bool:
        """Records a change; returns whether it is new."""
        life, _ = self._life(execution_id)
        if life.knows(sequence):
            return False
        bisect.insort(life.apart, sequence)
        life.settle()
        return True

    def _life(self, execution_id: str) -> tuple[_Life, bool]:
        """What is known of an execution, and whether it is unknown so far."""
        life = self._now.get(execution_id)
        if life is not None:
            return life, False
        if len(self._now) >= self._most:
            self._now, self._before = {}, self._now
        life = self._before.pop(execution_id, None)
        first = life is None
        self._now[execution_id] = life = life or _Life()
        return life, first


class _Life:
    """The sequences of one execution that were read: all up to ``through``, and those ``apart``, ascending."""

    __slots__ = ("apart", "through")

    def __init__(self) -> None:
        self.through = 0
        self.apart: list[int] = []

    def knows(self, sequence: int) -> bool:
        return sequence <= self.through or sequence in self.apart

    def settle(self) -> None:
        """Bounds the memory: merges what follows without a gap, and beyond ``_APART`` the lowest ones."""
        while self.apart and (self.apart[0] <= self.through + 1 or len(self.apart) > _APART):
            self.through = max(self.through, self.apart.pop(0))
