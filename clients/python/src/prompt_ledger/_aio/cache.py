"""Prompts in memory, fed by a task."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from prompt_ledger._aio.following import AsyncFollowing
from prompt_ledger._aio.transport import AsyncTransport
from prompt_ledger._cache_file import CacheFile, CacheSource
from prompt_ledger._held_prompts import HeldPrompts, Listener
from prompt_ledger._steps.prompt_reader import Current, PromptReader
from prompt_ledger._values import Seconds, seconds
from prompt_ledger.errors import DeadlineExceeded, LedgerError
from prompt_ledger.records import Prompt, PromptVersion


class AsyncPromptCache:
    """Prompts in memory, each with its active version and those that its labels point at, as they are in the ledger.

    A change is here within a moment of its write. Reading is no call and never waits. While the server is away the last state
    is served, and :attr:`stale_since` says since when. However often a stream breaks, another is opened: only a refusal that
    would be repeated ends that, such as a key that is revoked (:attr:`failure`).
    """

    def __init__(self, transport: AsyncTransport, names: tuple[str, ...], name_prefix: str, file: Path | None) -> None:
        settings = transport.settings
        source = CacheSource(settings.server, settings.target.headers, names, name_prefix)
        self._held = HeldPrompts(CacheFile(file, source) if file is not None else None, settings.logger)
        self._changed = asyncio.Condition()
        self._listening: set[asyncio.Task[None]] = set()
        reader = PromptReader(names, name_prefix, cursor=0)
        # What is held is of use however long the server is away.
        self._following = AsyncFollowing(transport, reader, patience=math.inf)
        self._feeding = asyncio.create_task(self._feed(), name="prompt-ledger-cache")

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

    async def synced(self, timeout: Seconds | None = 30) -> Self:
        """Waits until every prompt that is watched is here; not needed where a file was read."""
        return await self._until(lambda: self._held.synced, timeout)

    async def reached(self, revision: int, timeout: Seconds | None = 30) -> Self:
        """Waits until every change up to this revision is here, such as the one that a write answered."""
        return await self._until(lambda: self._held.synced and self._held.revision >= revision, timeout)

    def on_change(self, listener: Listener) -> Callable[[], None]:
        """Calls ``listener(name)`` once a change from now on can be read, in a task of its own, and awaits what it returns where
        that can be awaited: a slow one delays no other, and is told several changes of a prompt as one. Returns what ends that.
        """
        task = asyncio.create_task(self._listen(listener, self._held.log.edition), name="prompt-ledger-listener")
        self._listening.add(task)
        task.add_done_callback(self._listening.discard)

        def end() -> None:
            task.cancel()

        return end

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

    async def aclose(self) -> None:
        """Ends the watch, and writes the file. What is held can still be read."""
        self._following.close()
        # It writes the file.
        await asyncio.wait({self._feeding})

    async def __aenter__(self) -> Self:
        return self if self._held.filled else await self.synced()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def _until(self, enough: Callable[[], bool], timeout: Seconds | None) -> Self:
        if not enough():
            self._held.check_fed()
        try:
            async with asyncio.timeout(None if timeout is None else seconds(timeout)), self._changed:
                await self._changed.wait_for(lambda: enough() or self._held.ended)
        except TimeoutError:
            raise DeadlineExceeded("the prompts did not come in time") from None
        if not enough():
            self._held.check_fed()
        return self

    async def _feed(self) -> None:
        held = self._held
        try:
            while (update := await self._following.next()) is not None:
                held.apply(update)
                await self._tell()
                if isinstance(update, Current):
                    await self._save()
        except LedgerError as failure:
            held.failed(failure)
        finally:
            held.closed()
            await self._save()
            await self._tell()

    async def _save(self) -> None:
        if self._held.wants_saving:
            # The disk keeps no other task waiting. Nothing else changes what is held meanwhile.
            await asyncio.to_thread(self._held.save)

    async def _listen(self, listener: Listener, seen: int) -> None:
        held = self._held
        while True:
            async with self._changed:
                await self._changed.wait_for(partial(self._ends_or_has_news, seen))
            names, seen = held.news(seen)
            for name in names:
                try:
                    told = listener(name)
                    if inspect.isawaitable(told):
                        await told
                except Exception:
                    held.logger.exception("a listener of the prompt cache failed")
            if held.ended and not names:
                return

    def _ends_or_has_news(self, seen: int) -> bool:
        return self._held.ended or self._held.has_news(seen)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
