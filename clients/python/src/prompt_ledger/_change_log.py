"""The order in which prompts of a cache have changed."""

from __future__ import annotations

import threading


class ChangeLog:
    """Numbers the changes, so that a listener is a number: what came behind it is new to it. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Each name once, by the number of its last change, ascending.
        self._last: dict[str, int] = {}
        self._edition = 0

    @property
    def edition(self) -> int:
        """How many changes there were."""
        return self._edition

    def note(self, name: str) -> None:
        """A prompt of this name has changed, has come or is gone."""
        with self._lock:
            self._edition += 1
            self._last.pop(name, None)
            self._last[name] = self._edition

    def since(self, edition: int) -> tuple[list[str], int]:
        """The names of what has changed after an edition, in the order of their last changes, and the present edition."""
        with self._lock:
            names = []
            for name, last in reversed(self._last.items()):
                if last <= edition:
                    break
                names.append(name)
            return names[::-1], self._edition
