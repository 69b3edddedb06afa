"""The I/O of a watch: opens streams, reads them and waits, as its machine decides."""

from __future__ import annotations

import time
from typing import Generic, TypeVar

from prompt_ledger._steps.machine import Machine, Reader
from prompt_ledger._steps.retry import Broken
from prompt_ledger._steps.silence import Silence
from prompt_ledger._sync.stream import ServerStream
from prompt_ledger._sync.transport import Transport
from prompt_ledger.errors import DeadlineExceeded, LedgerError

Message = TypeVar("Message")
Update = TypeVar("Update")


class Following(Generic[Message, Update]):
    """The updates of a reader, until its end or the first error."""

    def __init__(self, transport: Transport, reader: Reader[Message, Update], patience: float | None = None) -> None:
        settings = transport.settings
        self._transport, self._reader, self._silence = transport, reader, Silence(settings.silence)
        self._machine = Machine(reader, settings.patience if patience is None else patience)
        self._stream: ServerStream[Message] | None = None
        # When the next stream may be opened, by the monotonic clock.
        self._opens_at = 0.0
        self._over = False

    def next(self, deadline: float | None = None) -> Update | None:
        """The next update; None at the end. Past the deadline (of the monotonic clock) it raises, and can be called again."""
        updates = self._machine.updates
        while not updates:
            if self._over:
                return None
            try:
                self._step(deadline)
            except _LateError:
                raise DeadlineExceeded("the execution did not end in time") from None
            except Exception:
                self.close()
                # Nothing follows an error.
                updates.clear()
                raise
        return updates.popleft()

    def close(self) -> None:
        """Hangs up. What has arrived can still be read."""
        self._over = True
        self._drop_stream()
        self._transport.wake()

    def __del__(self) -> None:
        self._drop_stream()

    def _step(self, deadline: float | None) -> None:
        # Before the stream is waited for, which in a forked process nobody reads.
        self._transport.check_open()
        stream = self._stream
        if stream is None:
            self._wait_to_open(deadline)
            if self._is_over():
                return
            stream = self._stream = self._transport.open(self._reader.ask(), resumes=self._reader.resumes)
            self._silence.begins(time.monotonic())
            self._machine.opened()
        if self._is_over():
            # Closed by another thread meanwhile.
            self._drop_stream()
            return
        began = time.monotonic()
        left = self._silence.left(began)
        patience = left if deadline is None else min(left, max(deadline - began, 0))
        heard = stream.get(patience)
        self._transport.check_open()
        if self._is_over():
            return
        if heard is None and patience < left:
            self._silence.waited(time.monotonic() - began)
            raise _LateError
        moment = self._transport.moment()
        match heard:
            case None:
                step = self._machine.failed(Broken.SILENT, moment)
            case Broken() | LedgerError():
                step = self._machine.failed(heard, moment)
            case _:
                self._silence.begins(moment.now)
                step = self._machine.took(heard, moment)
        if step.over:
            self.close()
        elif step.delay is not None:
            self._transport.settings.logger.info("%s: broke, again in %.3f s", self._reader.ask().method, step.delay)
            self._opens_at = moment.now + step.delay
            self._drop_stream()

    def _is_over(self) -> bool:
        """Another thread may close it at any time."""
        return self._over

    def _wait_to_open(self, deadline: float | None) -> None:
        until = self._opens_at if deadline is None else min(self._opens_at, deadline)
        self._transport.sleep(max(until - time.monotonic(), 0), self._is_over)
        self._transport.check_open()
        if until < self._opens_at and not self._is_over():
            raise _LateError

    def _drop_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


class _LateError(Exception):
    """The deadline passed."""
