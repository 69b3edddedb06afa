"""The decisions of a watch: which updates it yields, and when it opens another stream."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from prompt_ledger._steps.retry import Broken, Failure, Moment, RetryWindow, Verdict, last, of_stream
from prompt_ledger.errors import LedgerError, Unreadable

Message = TypeVar("Message")
Update = TypeVar("Update")


@dataclass(frozen=True, slots=True)
class StreamCall(Generic[Message]):
    """A stream to open: the stub and its method, what to send, and how to read an answer."""

    service: str
    method: str
    request: Any
    read: Callable[[Any], Message]


class Taken(enum.Enum):
    """The effect of a message."""

    NEWS = enum.auto()
    """It was new, or a heartbeat: the retry window starts anew."""
    NOTHING = enum.auto()
    """It contained nothing new."""
    OVER = enum.auto()
    """It was the last."""
    GAP = enum.auto()
    """An event or text before it is missing."""
    UNREADABLE = enum.auto()
    """It was the last, in an unknown form."""


class Reader(ABC, Generic[Message, Update]):
    """Reads the messages of several streams as one sequence of updates."""

    @abstractmethod
    def ask(self) -> StreamCall[Message]:
        """The next stream to open."""

    @abstractmethod
    def take(self, message: Message, updates: deque[Update]) -> Taken:
        """Reads a message and appends what is new to ``updates``."""

    def begins(self) -> None:
        """Another stream begins."""

    @property
    def resumes(self) -> bool:
        """Whether a broken stream may be resumed by another."""
        return True

    def broke(self, failure: Failure, updates: deque[Update]) -> bool:  # noqa: ARG002
        """A stream broke. Returns whether another one may be opened all the same, though the rules for streams say no."""
        return False


class Next(NamedTuple):
    """What to do once the updates have been yielded: read on, end, or open another stream after ``delay`` seconds."""

    over: bool = False
    delay: float | None = None


READ = Next()
OVER = Next(over=True)


class Machine(Generic[Message, Update]):
    """The state of a watch."""

    def __init__(self, reader: Reader[Message, Update], patience: float) -> None:
        self.reader = reader
        self.updates: deque[Update] = deque()
        self._window = RetryWindow(patience)
        # The present stream has delivered a message.
        self._heard = False

    def opened(self) -> None:
        """Another stream was opened."""
        self._heard = False
        self.reader.begins()

    def took(self, message: Message, moment: Moment) -> Next:
        """A message arrived."""
        self._heard = True
        match self.reader.take(message, self.updates):
            case Taken.NEWS:
                self._window.progressed()
            case Taken.OVER:
                return OVER
            case Taken.GAP:
                return self.failed(Broken.GAP, moment)
            case Taken.UNREADABLE:
                raise Unreadable("the execution ended in a way that this client does not know; a newer client is needed")
        return READ

    def failed(self, failure: Failure, moment: Moment) -> Next:
        """The stream broke, or could not be opened."""
        asked = failure.retry_after if isinstance(failure, LedgerError) else None
        # What the server has not begun with can be asked for again, whatever it is.
        untouched = not self._heard and isinstance(failure, LedgerError) and failure.nothing_began
        if not self.reader.resumes and not untouched:
            raise last(failure)
        recovers = self.reader.broke(failure, self.updates) or untouched
        verdict = of_stream(failure)
        if recovers and not verdict.again:
            verdict = Verdict(again=True, asked=asked)
        # A stream that had begun, and was ended by a server that says when to come back, is no failure.
        if self._heard and verdict.again and verdict.asked is not None:
            self._window.progressed()
        self._heard = False
        return Next(delay=self._window.failed(failure, verdict, moment))
