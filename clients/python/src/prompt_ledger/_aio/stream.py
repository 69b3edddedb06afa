"""One server stream, read ahead into a bounded buffer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import grpc

from prompt_ledger._status import from_exception, from_rpc, from_status
from prompt_ledger._steps.buffer import Buffer
from prompt_ledger._steps.retry import Broken, Failure
from prompt_ledger.errors import LedgerError

T = TypeVar("T")


async def ended(call: Any, raised: grpc.RpcError | asyncio.CancelledError) -> LedgerError:
    """How a call ended that raised this. Where a server or a closed channel cancels a call, gRPC raises as if its task had been
    canceled.
    """
    if isinstance(raised, grpc.RpcError):
        return from_rpc(raised)
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise raised
    return from_status(await call.code(), await call.details(), await call.trailing_metadata())


class AsyncServerStream(Generic[T]):
    """Reads a call in a task of its own, so that giving up waiting for a message loses none."""

    def __init__(self, call: Any, read: Callable[[Any], T], *, overflows: bool) -> None:
        self._call, self._read, self._overflows = call, read, overflows
        self._buffer: Buffer[Any] = Buffer()
        self._changed = asyncio.Event()
        # How it ended, once it has.
        self._end: Failure | None = None
        self._receiving = asyncio.create_task(self._receive(), name="prompt-ledger-stream")

    async def get(self, timeout: float) -> T | Failure:
        """The next message, or how the stream ended; silence is an end too."""
        # Of two timeouts that expire at once the outer one alone is told, which may be a caller's.
        if timeout > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    while not self._buffer and self._end is None:
                        self._changed.clear()
                        await self._changed.wait()
        if self._buffer:
            message = self._buffer.take()
            self._changed.set()
            return self._read(message)
        return self._end or Broken.SILENT

    def close(self) -> None:
        """Hangs up."""
        self._call.cancel()
        self._receiving.cancel()
        self._end = self._end or Broken.CUT
        self._changed.set()

    async def _receive(self) -> None:
        end: Failure = Broken.CUT
        try:
            async for message in self._call:
                while not self._overflows and not self._buffer.has_room(message):
                    self._changed.clear()
                    await self._changed.wait()
                if not self._buffer.has_room(message):
                    end = Broken.OVERFLOW
                    self._call.cancel()
                    break
                self._buffer.put(message)
                self._changed.set()
        except (grpc.RpcError, asyncio.CancelledError) as raised:
            end = await ended(self._call, raised)
        except Exception as error:  # noqa: BLE001 -- an interceptor may raise any
            end = from_exception(error)
        self._end = self._end or end
        self._changed.set()
