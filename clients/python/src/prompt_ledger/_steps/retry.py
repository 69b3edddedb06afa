"""Decides when to try again and when to give up. Pure: time and randomness are arguments."""

from __future__ import annotations

import enum
from typing import NamedTuple

import grpc

from prompt_ledger.errors import GaveUp, LedgerError, NotResumable

# The delay after the first failure, and the longest one, in seconds; between them it doubles.
_FIRST = 0.1
_LONGEST = 5.0
# The longest delay that a server is granted; the shortest is the first one.
_LONGEST_ASKED = 3_600.0

# The longest deadline that gRPC is given, in seconds: it takes no number without end.
_LONGEST_DEADLINE = 1e9

_Code = grpc.StatusCode


class Moment(NamedTuple):
    """A time in seconds, of any clock that never goes back, and a random number from 0 to 1."""

    now: float
    chance: float


class Broken(enum.Enum):
    """How a stream may break without an error, as a sentence."""

    CUT = "the stream ended before the execution"
    SILENT = "the server said nothing, not even that it lives"
    GAP = "the stream left something out"
    OVERFLOW = "the stream was read too slowly"


Failure = LedgerError | Broken


class Verdict(NamedTuple):
    """Whether to try again, and after how many seconds the server asked to; ``None`` where it did not."""

    again: bool
    asked: float | None = None


FINAL = Verdict(again=False)


def of_stream(failure: Failure) -> Verdict:
    """Whether another stream is opened where one has failed."""
    if isinstance(failure, Broken):
        return Verdict(again=True)
    match failure.code:
        case _Code.UNAVAILABLE:
            return Verdict(again=True, asked=failure.retry_after)
        case _Code.ABORTED if failure.reason == "SLOW_CONSUMER":
            return Verdict(again=True)
        # The server gives each of its own errors a reason: without one, the connection broke.
        case _Code.UNKNOWN | _Code.INTERNAL | _Code.CANCELLED if not failure.reason:
            return Verdict(again=True)
        case _:
            return FINAL


def of_call(failure: LedgerError, *, freely: bool) -> Verdict:
    """Whether a call that answers once is repeated: ``freely`` where it may be done twice, else where nothing began."""
    if failure.nothing_began:
        return Verdict(again=True, asked=failure.retry_after)
    match failure.code:
        case _ if not freely:
            return FINAL
        case _Code.RESOURCE_EXHAUSTED if failure.retry_after is not None:
            return Verdict(again=True, asked=failure.retry_after)
        case _Code.ABORTED:
            return FINAL
        case _:
            return of_stream(failure)


def last(failure: Failure) -> LedgerError:
    """The error where no other stream is opened, though a break alone might have allowed it."""
    if isinstance(failure, LedgerError) and not of_stream(failure).again:
        return failure
    return NotResumable(f"the stream broke, and without an idempotency key nothing goes on: {cause(failure)}")


def cause(failure: Failure) -> str:
    return failure.value if isinstance(failure, Broken) else failure.message


class RetryWindow:
    """Bounds how long to try again without progress, in seconds."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._failing_since: float | None = None
        self._failures = 0

    def progressed(self) -> None:
        self._failing_since, self._failures = None, 0

    def delay(self, verdict: Verdict, moment: Moment) -> float | None:
        """How long to wait before the next try; ``None`` where the window ends before."""
        if self._failing_since is None:
            self._failing_since = moment.now
        if verdict.asked is not None:
            # Never earlier than asked, and spread over time. A server that asks for no delay is not asked without one.
            delay = min(max(verdict.asked, _FIRST), _LONGEST_ASKED) * (1 + 0.2 * moment.chance)
        else:
            delay = min(_FIRST * 2 ** min(self._failures, 10), _LONGEST) * (0.5 + 0.5 * moment.chance)
        self._failures += 1
        return delay if moment.now - self._failing_since + delay <= self._limit else None

    def failed(self, failure: Failure, verdict: Verdict, moment: Moment) -> float:
        """How long to wait before the next stream; raises where there is none."""
        if not verdict.again:
            raise last(failure)
        delay = self.delay(verdict, moment)
        if delay is None:
            after = moment.now - (self._failing_since or 0)
            raise GaveUp(f"gave up after {after:.0f} s without news: {cause(failure)}")
        return delay


class Attempts:
    """The attempts of one call that answers once, within its limit in seconds."""

    def __init__(self, limit: float, began: float, *, freely: bool) -> None:
        self._limit, self._ends, self._freely = limit, began + limit, freely
        # Made when the first attempt has failed.
        self._window: RetryWindow | None = None

    def left(self, now: float) -> float:
        """The deadline of the next attempt, in seconds."""
        # gRPC tells a server the deadline rounded up, above 100 s to whole seconds: no more is told than there is.
        return min(max(self._ends - now, 0) * 0.999, _LONGEST_DEADLINE)

    def delay(self, failure: LedgerError, moment: Moment) -> float | None:
        """How long to wait before the next attempt; ``None`` where there is none."""
        verdict = of_call(failure, freely=self._freely)
        window = self._window = self._window or RetryWindow(self._limit)
        delay = window.delay(verdict, moment) if verdict.again else None
        return delay if delay is not None and moment.now + delay < self._ends else None
