"""What happens to one execution, or to all that match, as iterators."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from prompt_ledger import proto
from prompt_ledger._steps.follower import Follower
from prompt_ledger._steps.reading import Reading
from prompt_ledger._steps.tailer import Tailer
from prompt_ledger._sync.following import Following
from prompt_ledger._sync.transport import Transport
from prompt_ledger._values import Seconds, seconds
from prompt_ledger.records import Execution
from prompt_ledger.updates import TailUpdate, Text, Update

U = TypeVar("U")


class _Iterator(Generic[U]):
    """Iterates over updates. Broken connections and restarts of servers cause a delay and no error."""

    def __init__(self, following: Following[Any, U]) -> None:
        self._following = following

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> U:
        update = self._following.next()
        if update is None:
            raise StopIteration
        return update

    def close(self) -> None:
        """Hangs up."""
        self._following.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Updates(_Iterator[Update]):
    """What happens to one execution, to its end.

    Each state change comes once and in order; texts can be appended as they come; the last update is :class:`Ended`. Of a
    ``stream`` without an idempotency key, closing it cancels the execution.
    """

    def __init__(self, transport: Transport, follower: Follower) -> None:
        super().__init__(Following(transport, follower))
        self._reading = Reading(follower.execution_id)

    def __next__(self) -> Update:
        update = super().__next__()
        self._reading.take(update)
        return update

    @property
    def execution_id(self) -> str:
        """The execution; empty until it is known."""
        return self._reading.execution_id

    @property
    def text(self) -> str:
        """The text that was read so far, of the present attempt."""
        return self._reading.text

    def texts(self) -> Iterator[str]:
        """The text alone, as the model writes it. Where another attempt begins anew, :attr:`text` does so too."""
        for update in self:
            if isinstance(update, Text):
                yield update.text

    def result(self, timeout: Seconds | None = None) -> Execution:
        """Reads to the end, at most for ``timeout``, and returns the execution."""
        deadline = None if timeout is None else time.monotonic() + seconds(timeout)
        while self._reading.execution is None:
            update = self._following.next(deadline)
            if update is None:
                break
            self._reading.take(update)
        return self._reading.ended()


class Tail(_Iterator[TailUpdate]):
    """What happens to all executions that match, without end."""

    def __init__(self, transport: Transport, request: proto.WatchExecutionsRequest) -> None:
        super().__init__(Following(transport, Tailer(request)))
