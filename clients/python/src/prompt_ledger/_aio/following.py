"""The I/O of a watch: opens streams, reads them and waits, as its machine decides."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Generic, TypeVar

from prompt_ledger._aio.stream import AsyncServerStream
from prompt_ledger._aio.transport import AsyncTransport
from prompt_ledger._steps.machine import Machine, Reader
from prompt_ledger._steps.retry import Broken
from prompt_ledger._steps.silence import Silence
from prompt_ledger.errors import LedgerError

Message = TypeVar("Message")
Update = TypeVar("Update")


class AsyncFollowing(Generic[Message, Update]):
    """The updates of a reader, until its end or the first error. Cancelling a ``next`` loses none."""

    def __init__(self, transport: AsyncTransport, reader: Reader[Message, Update], patience: float | None = None) -> None:
        settings = transport.settings
        self._transport, self._reader, self._silence = transport, reader, Silence(settings.silence)
        self._machine = Machine(reader, settings.patience if patience is None else patience)
        self._stream: AsyncServerStream[Message] | None = None
        # When the next stream may be opened, by the monotonic clock.
        self._opens_at = 0.0
        self._over = False
        self._woken = asyncio.Event()

    async def next(self) -> Update | None:
        """The next update; None at the end."""
        updates = self._machine.updates
        while not updates:
            if self._over:
                return None
            try:
                await self._step()
            except Exception:
                self.close()
                # Nothing follows an error.
                updates.clear()
                raise
        return updates.popleft()

    def close(self) -> None:
        """Hangs up. What has arrived can still be read."""
        self._over = True
        self._woken.set()
        self._drop_stream()

    def __del__(self) -> None:
        # The loop may be gone by now, and the stream with it.
        with contextlib.suppress(RuntimeError):
            self._drop_stream()

    async def _step(self) -> None:
        self._transport.check_open()
        stream = self._stream
        if stream is None:
            delay = self._opens_at - time.monotonic()
            if delay > 0:
                await self._transport.sleep(delay, self._woken)
            if self._over:
                return
            stream = self._stream = self._transport.open(self._reader.ask(), resumes=self._reader.resumes)
            self._silence.begins(time.monotonic())
            self._machine.opened()
        began = time.monotonic()
        try:
            heard = await stream.get(self._silence.left(began))
        except asyncio.CancelledError:
            self._silence.waited(time.monotonic() - began)
            raise
        self._transport.check_open()
        if self._over:
            return
        moment = self._transport.moment()
        if isinstance(heard, Broken | LedgerError):
            step = self._machine.failed(heard, moment)
        else:
            self._silence.begins(moment.now)
            step = self._machine.took(heard, moment)
        if step.over:
            self.close()
        elif step.delay is not None:
            self._transport.settings.logger.info("%s: broke, again in %.3f s", self._reader.ask().method, step.delay)
            self._opens_at = moment.now + step.delay
            self._drop_stream()

    def _drop_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
