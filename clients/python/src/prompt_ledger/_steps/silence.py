"""When a stream counts as broken since nothing comes."""

from __future__ import annotations

_LEAST_WAIT = 1.0
"""How long to wait at least, in seconds: a process that stood still, or was kept busy, has not read yet what came meanwhile."""
_LEAST_LOOK = 0.05
"""How long a look in vain counts at least, so that looks without any waiting find a silent stream too."""


class Silence:
    """The silence of one stream after another, over all waits for a message. Times are seconds of the monotonic clock."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._since = 0.0
        self._waited = 0.0

    def begins(self, now: float) -> None:
        """A stream was opened, or a message of it was read."""
        self._since, self._waited = now, 0.0

    def left(self, now: float) -> float:
        """How long to wait for the next message before the stream counts as broken."""
        return max(self._limit - (now - self._since), min(self._limit, _LEAST_WAIT) - self._waited, 0)

    def waited(self, seconds: float) -> None:
        """A wait that was given up before was in vain."""
        self._waited += max(seconds, _LEAST_LOOK)
