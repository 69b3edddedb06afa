"""What a forked process has of its parent's. Neither gRPC's channels nor the threads of this package work in it."""

from __future__ import annotations

import os
import weakref
from typing import Any

from prompt_ledger.errors import ClientClosed

_PROBLEM = "the client was made before this process was forked: make one in each process"

_alive: weakref.WeakSet[Any] = weakref.WeakSet()
# Whatever is of gRPC and of the parent: at its end it would wait for threads that are not there.
_left: list[Any] = []


def keep_over_fork(of_grpc: Any) -> None:
    """In a process that is forked this stays as it is, without being ended."""
    _alive.add(of_grpc)


class Owner:
    """The process that made an object."""

    __slots__ = ("_pid",)

    def __init__(self) -> None:
        self._pid = os.getpid()

    @property
    def is_gone(self) -> bool:
        """Whether this process was forked since."""
        return self._pid != os.getpid()

    @property
    def failure(self) -> ClientClosed | None:
        """The error in a process that was forked since."""
        return ClientClosed(_PROBLEM) if self.is_gone else None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _left.extend(_alive))
