"""Reads the streams of one execution."""

from __future__ import annotations

import hashlib
from collections import deque

from prompt_ledger import proto
from prompt_ledger._steps.machine import Reader, StreamCall, Taken
from prompt_ledger.records import Execution
from prompt_ledger.updates import Ended, Joined, Restarted, StateChange, Text, Update


def _event(answer: proto.WatchExecutionResponse) -> proto.ExecutionEvent:
    """The event in an answer of any stream about executions."""
    return answer.event


class Follower(Reader[proto.ExecutionEvent, Update]):
    """What is known of one execution, over several streams.

    With a ``spec`` the first stream executes it. ``tracking`` says that its prompt is of that mode.
    """

    def __init__(
        self, execution_id: str = "", cursor: int = 0, *, spec: proto.ExecutionSpec | None = None, tracking: bool = False
    ) -> None:
        # Empty until the first event of a stream that executes.
        self.execution_id = execution_id
        self._cursor = cursor
        self._spec, self._tracking = spec, tracking
        self._text = _FollowedText()
        self._joined = False

    def ask(self) -> StreamCall[proto.ExecutionEvent]:
        if self.execution_id:
            watch = proto.WatchExecutionRequest(execution_id=self.execution_id, after_sequence=self._cursor)
            return StreamCall("executions", "WatchExecution", watch, _event)
        if self._tracking:
            return StreamCall("code", "StreamCodePrompt", proto.StreamCodePromptRequest(spec=self._spec), _event)
        return StreamCall("executions", "StreamExecution", proto.StreamExecutionRequest(spec=self._spec), _event)

    @property
    def resumes(self) -> bool:
        return self._spec is None or bool(self._spec.idempotency_key)

    def take(self, message: proto.ExecutionEvent, updates: deque[Update]) -> Taken:
        self.execution_id = self.execution_id or message.execution_id
        if message.sequence > self._cursor + 1:
            return Taken.GAP
        new = message.sequence > self._cursor
        self._cursor = max(self._cursor, message.sequence)
        match message.WhichOneof("kind"):
            case "state_changed":
                change = StateChange.read(message)
                ended = message.state_changed.HasField("execution") and message.terminal
                if ended:
                    self._text.finish(change.attempt, message.state_changed.execution.response_text, updates)
                if new:
                    updates.append(change)
                if ended:
                    updates.append(Ended(Execution.read(message.state_changed.execution, reused=self._joined)))
                    return Taken.OVER
                taken = _said(new=new)
            case "text_delta":
                taken = self._text.take(message.text_delta, updates)
            case "heartbeat":
                self._cursor = max(self._cursor, message.heartbeat.through_sequence)
                taken = Taken.NEWS
            case "snapshot":
                if message.snapshot.reused and not self._joined:
                    self._joined = True
                    updates.append(Joined(message.execution_id))
                taken = Taken.NOTHING
            case _:
                # An event of an unknown kind may have a sequence too.
                taken = _said(new=new)
        return Taken.UNREADABLE if message.terminal else taken


def _said(*, new: bool) -> Taken:
    return Taken.NEWS if new else Taken.NOTHING


class _FollowedText:
    """How much of an attempt's text was passed on."""

    def __init__(self) -> None:
        # 0 before the first text.
        self._attempt = 0
        # In UTF-8 bytes, and their hash: it tells whether the final text begins with them, without keeping them.
        self._given = 0
        self._hash = hashlib.sha256()

    def take(self, delta: proto.ExecutionTextDelta, updates: deque[Update]) -> Taken:
        """Passes on the new part of a delta. After a reconnect the text is sent again from its beginning."""
        if delta.attempt < self._attempt:
            return Taken.NOTHING
        if delta.attempt > self._attempt:
            self._restart(delta.attempt, updates)
        known = self._given - delta.offset
        if known < 0:
            return Taken.GAP
        try:
            more = delta.text.encode()[known:].decode()
        except UnicodeDecodeError:
            # The known text ends within a character of this one: the texts differ.
            return Taken.GAP
        return _said(new=self._give(more, updates))

    def finish(self, attempt: int, response: str, updates: deque[Update]) -> None:
        """Passes on what is missing of the final text: what was never streamed, or was lost."""
        if attempt != self._attempt:
            self._restart(attempt, updates)
        if not response:
            # A failed execution has no response; the partial text stays valid.
            return
        whole = response.encode()
        if hashlib.sha256(whole[: self._given]).digest() != self._hash.digest():
            self._restart(attempt, updates)
        self._give(whole[self._given :].decode(), updates)

    def _restart(self, attempt: int, updates: deque[Update]) -> None:
        if self._given:
            updates.append(Restarted(attempt))
        self._attempt, self._given, self._hash = attempt, 0, hashlib.sha256()

    def _give(self, text: str, updates: deque[Update]) -> bool:
        """False where the text is empty."""
        if not text:
            return False
        updates.append(Text(self._attempt, self._given, text))
        self._given += len(text.encode())
        self._hash.update(text.encode())
        return True
