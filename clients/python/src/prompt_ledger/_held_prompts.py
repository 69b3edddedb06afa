"""The prompts of a cache: what is held, how it is read, and how current it is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prompt_ledger import proto
from prompt_ledger._cache_file import CacheFile
from prompt_ledger._change_log import ChangeLog
from prompt_ledger._forking import Owner
from prompt_ledger._steps.prompt_reader import Behind, Current, Only, PromptUpdate, Put, Reached
from prompt_ledger.errors import ClientClosed, LedgerError, NotSynced
from prompt_ledger.records import Prompt, PromptVersion

Listener = Callable[[str], Any]
"""Called with the name of a prompt that has changed, has come, or is gone."""


@dataclass(frozen=True, slots=True)
class _HeldPrompt:
    prompt: Prompt
    # By number: the active version, and those that labels point at.
    versions: dict[int, PromptVersion]
    state: proto.PromptChange


class HeldPrompts:
    """Prompts in memory. One thread or task feeds it; any may read, without waiting: whole values are replaced."""

    def __init__(self, file: CacheFile | None, logger: logging.Logger | logging.LoggerAdapter[Any]) -> None:
        self._file, self.logger = file, logger
        self._prompts: dict[str, _HeldPrompt] = {}
        self.log = ChangeLog()
        # That of the file; None where it is to be written whatever has changed.
        self._kept: int | None = None
        self._owner = Owner()
        self._failure: LedgerError | None = None
        self._stale = True
        # When the last message came by which nothing was missing.
        self._current_at = datetime.now(UTC)
        self.revision = 0
        # There is something to read: of the server, or of the file.
        self.filled = False
        # Everything that was there has been told by the server.
        self.synced = False
        # Nobody feeds it any more.
        self.ended = False
        if file is not None:
            self._load(file)

    @property
    def stale_since(self) -> datetime | None:
        return self._current_at if self._stale or self._owner.is_gone else None

    @property
    def failure(self) -> LedgerError | None:
        return self._failure or self._owner.failure

    def get(self, name: str, label: str | None) -> PromptVersion | None:
        held = self._held(name)
        if held is None:
            return None
        number = held.prompt.active_version if label in (None, "active") else held.prompt.labels.get(label or "")
        return held.versions.get(number) if number is not None else None

    def prompt(self, name: str) -> Prompt | None:
        held = self._held(name)
        return held.prompt if held is not None else None

    def names(self) -> list[str]:
        return sorted(self._prompts)

    def check_fed(self) -> None:
        """Raises where nothing will be told any more."""
        if (failure := self.failure) is not None:
            raise failure
        if self.ended:
            raise ClientClosed("the cache was closed")

    def has_news(self, seen: int) -> bool:
        """Whether there are changes after an edition that can be read."""
        return self.filled and self.log.edition > seen

    def news(self, seen: int) -> tuple[list[str], int]:
        """The names of what has changed after an edition and can be read, and the edition up to which these are all."""
        return self.log.since(seen) if self.filled else ([], seen)

    def apply(self, update: PromptUpdate) -> None:
        match update:
            case Put(state):
                self._put(state)
            case Only(names):
                for name in self._prompts.keys() - names:
                    del self._prompts[name]
                    self.log.note(name)
            case Reached(revision):
                self.revision = revision
            case Current():
                self._current_at = datetime.now(UTC)
                self.filled, self.synced, self._stale = True, True, False
            case Behind():
                self._stale = True

    def failed(self, failure: LedgerError) -> None:
        """Nothing will be told any more."""
        self._stale, self._failure = True, failure

    def closed(self) -> None:
        """Nobody feeds it any more."""
        self._stale, self.ended = True, True

    @property
    def wants_saving(self) -> bool:
        """Whether the file has something else than what is held."""
        return self._file is not None and self.synced and self._kept != self.log.edition

    def save(self) -> None:
        """Writes the file, where it wants that. The next message by which nothing is missing tries again."""
        if self._file is None or not self.wants_saving:
            return
        edition = self.log.edition
        try:
            self._file.write([held.state for held in self._prompts.values()], self._current_at)
            self._kept = edition
        except OSError as error:
            self.logger.warning("the prompts could not be kept in %s: %s", self._file.path, error)

    def _held(self, name: str) -> _HeldPrompt | None:
        if not self.filled:
            raise self.failure or NotSynced("the cache has not been filled yet: wait for it once, by `synced`")
        return self._prompts.get(name)

    def _put(self, state: proto.PromptChange) -> None:
        before = self._prompts.get(state.prompt.name)
        if before is not None and before.state == state:
            return
        versions = [*([state.active_version] if state.HasField("active_version") else []), *state.labelled_versions]
        prompt = Prompt.read(state.prompt, state.active_version if state.HasField("active_version") else None)
        by_number = {version.version_number: PromptVersion.read(version) for version in versions}
        self._prompts[prompt.name] = _HeldPrompt(prompt, by_number, state)
        self.log.note(prompt.name)

    def _load(self, file: CacheFile) -> None:
        try:
            kept = file.read()
        except (OSError, ValueError) as error:
            self.logger.warning("the prompts kept in %s cannot be read: %s", file.path, error)
            return
        if kept is not None:
            for state in kept.states:
                self._put(state)
            self._current_at, self.filled = kept.current_at, True
