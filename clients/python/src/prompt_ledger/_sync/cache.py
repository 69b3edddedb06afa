"""Prompts in memory, fed by a thread."""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prompt_ledger._cache_file import CacheFile, CacheSource
from prompt_ledger._held_prompts import HeldPrompts, Listener
from prompt_ledger._steps.prompt_reader import Current, PromptReader, PromptUpdate
from prompt_ledger._sync.following import Following
from prompt_ledger._sync.transport import Transport
from prompt_ledger._values import Seconds, seconds
from prompt_ledger.errors import DeadlineExceeded, LedgerError
from prompt_ledger.records import Prompt, PromptVersion


class PromptCache:
    """Prompts in memory, each with its active version and those that its labels point at, as they are in the ledger.

    A change is here within a moment of its write. Reading is no call and never waits. While the server is away the last state
    is served, and :attr:`stale_since` says since when. However often a stream breaks, another is opened: only a refusal that
    would be repeated ends that, such as a key that is revoked (:attr:`failure`).
    """

    def __init__(self, transport: Transport, names: tuple[str, ...], name_prefix: str, file: Path | None) -> None:
        settings = transport.settings
        source = CacheSource(settings.server, settings.target.headers, names, name_prefix)
        self._held = HeldPrompts(CacheFile(file, source) if file is not None else None, settings.logger)
        self._changed = threading.Condition()
        reader = PromptReader(names, name_prefix, cursor=0)
        # What is held is of use however long the server is away.
        self._following = Following(transport, reader, patience=math.inf)
        self._feeder = _thread("prompt-ledger-cache", _feed, self._following, self._held, self._changed)
        # A cache that nobody holds any more is fed no more.
        self._end = weakref.finalize(self, Following.close, self._following)

    def get(self, name: str, label: str | None = None) -> PromptVersion | None:
        """The active version of a prompt, or the one that a label points at. None where there is no such prompt or label, or
        where it is not watched; ``latest`` is not held. Before the cache was first filled it raises :class:`NotSynced`.
        """
        return self._held.get(name, label)

    def prompt(self, name: str) -> Prompt | None:
        """The prompt of this name, archived ones too; None as for :meth:`get`."""
        return self._held.prompt(name)

    def names(self) -> list[str]:
        """The names of the prompts that are held, sorted."""
        return self._held.names()

    def synced(self, timeout: Seconds | None = 30) -> Self:
        """Waits until every prompt that is watched is here; not needed where a file was read."""
        return self._until(lambda: self._held.synced, timeout)

    def reached(self, revision: int, timeout: Seconds | None = 30) -> Self:
        """Waits until every change up to this revision is here, such as the one that a write answered."""
        return self._until(lambda: self._held.synced and self._held.revision >= revision, timeout)

    def on_change(self, listener: Listener) -> Callable[[], None]:
        """Calls ``listener(name)`` once a change from now on can be read, in a thread of its own: a slow one delays nobody, and
        is told several changes of a prompt as one. Returns what ends that.
        """
        listening = _Listening(listener, self._held, self._changed)
        _thread("prompt-ledger-listener", listening.run)
        return listening.end

    @property
    def revision(self) -> int:
        """The project's revision up to which every change is here."""
        return self._held.revision

    @property
    def stale_since(self) -> datetime | None:
        """Since when changes may be missing; None while the cache is current."""
        return self._held.stale_since

    @property
    def failure(self) -> LedgerError | None:
        """Why the cache will not be fed any more; None while it is."""
        return self._held.failure

    def close(self) -> None:
        """Ends the watch, and writes the file. What is held can still be read."""
        self._end()
        if self._feeder is not threading.current_thread():
            # It writes the file.
            self._feeder.join()

    def __enter__(self) -> Self:
        return self if self._held.filled else self.synced()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _until(self, enough: Callable[[], bool], timeout: Seconds | None) -> Self:
        ends = None if timeout is None else time.monotonic() + seconds(timeout)
        while not enough():
            # Before the lock, which in a forked process nobody may be left to give back.
            self._held.check_fed()
            left = None if ends is None else min(ends - time.monotonic(), threading.TIMEOUT_MAX)
            if left is not None and left <= 0:
                raise DeadlineExceeded("the prompts did not come in time")
            with self._changed:
                self._changed.wait_for(lambda: enough() or self._held.ended, left)
        return self


def _thread(name: str, work: Callable[..., None], *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments, name=name, daemon=True)
    thread.start()
    return thread


def _feed(following: Following[object, PromptUpdate], held: HeldPrompts, changed: threading.Condition) -> None:
    """Not a method, so that the thread does not keep the cache."""
    try:
        while (update := following.next()) is not None:
            held.apply(update)
            with changed:
                changed.notify_all()
            if isinstance(update, Current):
                held.save()
    except LedgerError as failure:
        held.failed(failure)
    finally:
        held.save()
        held.closed()
        with changed:
            changed.notify_all()


class _Listening:
    """Tells a listener what changes. It does not keep the cache."""

    def __init__(self, listener: Listener, held: HeldPrompts, changed: threading.Condition) -> None:
        self._listener, self._held, self._changed = listener, held, changed
        self._seen = held.log.edition
        self._ended = threading.Event()

    def run(self) -> None:
        held = self._held
        while not self._ended.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._ended.is_set() or held.ended or held.has_news(self._seen))
            names, self._seen = held.news(self._seen)
            for name in names:
                if self._ended.is_set():
                    return
                try:
                    self._listener(name)
                except Exception:
                    held.logger.exception("a listener of the prompt cache failed")
            if held.ended and not names:
                return

    def end(self) -> None:
        self._ended.set()
        with self._changed:
            self._changed.notify_all()
