"""What happens to one execution, or to all that match, as asynchronous iterators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from prompt_ledger import proto
from prompt_ledger._aio.following import AsyncFollowing
from prompt_ledger._aio.transport import AsyncTransport
from prompt_ledger._steps.follower import Follower
from prompt_ledger._steps.reading import Reading
from prompt_ledger._steps.tailer import Tailer
from prompt_ledger._values import Seconds, seconds
from prompt_ledger.errors import DeadlineExceeded
from prompt_ledger.records import Execution
from prompt_ledger.updates import TailUpdate, Text, Update

U = TypeVar("U")


class _AsyncIterator(Generic[U]):
    """Iterates over updates. Broken connections and restarts of servers cause a delay and no error."""

    def __init__(self, following: AsyncFollowing[Any, U]) -> None:
        self._following = following

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> U:
        update = await self._following.next()
        if update is None:
            raise StopAsyncIteration
        return update

    async def aclose(self) -> None:
        """Hangs up."""
        self._following.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()


class AsyncUpdates(_AsyncIterator[Update]):
    """What happens to one execution, to its end.

    Each state change comes once and in order; texts can be appended as they come; the last update is :class:`Ended`. Of a
    ``stream`` without an idempotency key, closing it cancels the execution.
    """

    def __init__(self, transport: AsyncTransport, follower: Follower) -> None:
        super().__init__(AsyncFollowing(transport, follower))
        self._reading = Reading(follower.execution_id)

    async def __anext__(self) -> Update:
        update = await super().__anext__()
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

    async def texts(self) -> AsyncIterator[str]:
        """The text alone, as the model writes it. Where another attempt begins anew, :attr:`text` does so too."""
        async for update in self:
            if isinstance(update, Text):
                yield update.text

    async def result(self, timeout: Seconds | None = None) -> Execution:
        """Reads to the end, at most for ``timeout``, and returns the execution."""
        try:
            async with asyncio.timeout(None if timeout is None else seconds(timeout)) as limit:
                while self._reading.execution is None:
                    update = await self._following.next()
                    if update is None:
                        break
                    self._reading.take(update)
        except TimeoutError:
            if not limit.expired():
                raise
            raise DeadlineExceeded("the execution did not end in time") from None
        return self._reading.ended()


class AsyncTail(_AsyncIterator[TailUpdate]):
    """What happens to all executions that match, without end."""

    def __init__(self, transport: AsyncTransport, request: proto.WatchExecutionsRequest) -> None:
        super().__init__(AsyncFollowing(transport, Tailer(request)))
