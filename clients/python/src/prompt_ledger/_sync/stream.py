"""One server stream, read ahead into a bounded buffer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import grpc

from prompt_ledger._forking import Owner, keep_over_fork
from prompt_ledger._status import from_exception, from_rpc
from prompt_ledger._steps.buffer import Buffer
from prompt_ledger._steps.retry import Broken, Failure

T = TypeVar("T")

_ENDS_WITHIN = 1.0
"""How long the reading thread may take to see that its call was canceled, in seconds."""


class ServerStream(Generic[T]):
    """Reads a call in a thread of its own, so that whoever waits for a message can give up waiting."""

    def __init__(self, call: Any, read: Callable[[Any], T], *, overflows: bool) -> None:
        # None once it is closed: what an error's traceback keeps of it is no call.
        self._call: Any = call
        self._owner = Owner()
        keep_over_fork(call)
        self._read, self._overflows = read, overflows
        self._buffer: Buffer[Any] = Buffer()
        self._changed = threading.Condition()
        # How it ended, once it has.
        self._end: Failure | None = None
        self._thread = threading.Thread(target=self._receive, args=(call,), name="prompt-ledger-stream", daemon=True)
        self._thread.start()

    def get(self, timeout: float) -> T | Failure | None:
        """The next message, or how the stream ended; None where nothing came in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._buffer or self._end is not None, min(timeout, threading.TIMEOUT_MAX))
            if self._buffer:
                message = self._buffer.take()
                self._changed.notify_all()
                return self._read(message)
            return self._end

    def close(self) -> None:
        """Hangs up. The thread has ended then: one that the interpreter stops at its exit would keep the call's lock, for
        which the call's own end waits.
        """
        call, self._call = self._call, None
        if self._owner.is_gone:
            return
        if call is not None:
            call.cancel()
        with self._changed:
            self._end = self._end or Broken.CUT
            self._changed.notify_all()
        # The garbage collector may close it in any thread.
        if threading.current_thread() is not self._thread:
            self._thread.join(_ENDS_WITHIN)

    def _receive(self, call: Any) -> None:
        end: Failure = Broken.CUT
        try:
            for message in call:
                if not self._put(message):
                    end = Broken.OVERFLOW
                    call.cancel()
                    break
        except grpc.RpcError as error:
            end = from_rpc(error)
            # The error is the call itself, which its traceback would hold.
            error.__traceback__ = None
        except Exception as error:  # noqa: BLE001 -- an interceptor may raise any
            end = from_exception(error)
        with self._changed:
            self._end = self._end or end
            self._changed.notify_all()

    def _put(self, message: Any) -> bool:
        """False where there is no room, or nobody will read it."""
        with self._changed:
            if not self._overflows:
                self._changed.wait_for(lambda: self._buffer.has_room(message) or self._end is not None)
            if self._end is not None or not self._buffer.has_room(message):
                return False
            self._buffer.put(message)
            self._changed.notify_all()
            return True
