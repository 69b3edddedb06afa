"""The prompts of a cache: what is held, how it is read, and how it is kept in a file."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from prompt_ledger import proto
from prompt_ledger._steps.prompt_reader import Behind, Current, Only, PromptUpdate, Put, Reached
from prompt_ledger.errors import LedgerError, NotSynced
from prompt_ledger.records import Prompt, PromptVersion

# The most that a file may have, in bytes; what is larger is neither written nor read.
_FILE_BYTES = 256 * 1024 * 1024

Listener = Callable[[str], Any]
"""Called with the name of a prompt that has changed, or is gone."""


@dataclass(frozen=True, slots=True)
class CacheSource:
    """Which prompts of which ledger a cache holds. A file of another source is not read."""

    server: str
    project: str
    names: tuple[str, ...]
    name_prefix: str


@dataclass(frozen=True, slots=True)
class _HeldPrompt:
    prompt: Prompt
    # By number: the active version, and those that labels point at.
    versions: dict[int, PromptVersion]
    state: proto.PromptChange


class HeldPrompts:
    """Prompts in memory. One thread or task feeds it; any may read, without waiting: whole values are replaced."""

    def __init__(self, source: CacheSource, file: Path | None, logger: logging.Logger | logging.LoggerAdapter[Any]) -> None:
        # The process may change its folder.
        self._file = file.absolute() if file is not None else None
        self._source, self._logger = source, logger
        self._prompts: dict[str, _HeldPrompt] = {}
        self._listeners: list[Listener] = []
        # Changed since it was last written to the file.
        self._changed = False
        self.revision = 0
        # There is something to read: of the server, or of the file.
        self.filled = False
        # Everything that was there has been told by the server.
        self.synced = False
        self.stale_since: datetime | None = datetime.now(UTC)
        # When the last message came by which nothing was missing.
        self._current_at = datetime.now(UTC)
        self.failure: LedgerError | None = None
        if self._file is not None:
            self._load(self._file)

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

    def listen(self, listener: Listener) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def apply(self, update: PromptUpdate) -> None:
        match update:
            case Put(state):
                self._put(state)
                self._tell(state.prompt.name)
            case Only(names):
                for name in self._prompts.keys() - names:
                    del self._prompts[name]
                    self._tell(name)
            case Reached(revision):
                self.revision, self._changed = revision, True
            case Current():
                self.filled, self.synced, self.stale_since = True, True, None
                self._current_at = datetime.now(UTC)
                self.save()
            case Behind():
                self.stale_since = self.stale_since or self._current_at

    def failed(self, failure: LedgerError) -> None:
        """Nothing will be told any more."""
        self.stale_since = self.stale_since or self._current_at
        self.failure = failure

    def save(self) -> None:
        """Writes the file, where something has changed. It is there whole or not at all."""
        if self._file is None or not self._changed or not self.synced:
            return
        body = b"".join(_frame(held.state.SerializeToString(deterministic=True)) for held in self._prompts.values())
        head = {
            "source": asdict(self._source),
            "revision": self.revision,
            "at": datetime.now(UTC).isoformat(),
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        try:
            _replace(self._file, json.dumps(head).encode() + b"\n" + body)
            self._changed = False
        except OSError as error:
            self._logger.warning("the prompts could not be kept in %s: %s", self._file, error)

    def _held(self, name: str) -> _HeldPrompt | None:
        if not self.filled:
            raise self.failure or NotSynced("the cache has not been filled yet: wait for it once, by `synced`")
        return self._prompts.get(name)

    def _put(self, state: proto.PromptChange) -> None:
        versions = [*([state.active_version] if state.HasField("active_version") else []), *state.labelled_versions]
        prompt = Prompt.read(state.prompt, state.active_version if state.HasField("active_version") else None)
        by_number = {version.version_number: PromptVersion.read(version) for version in versions}
        self._prompts[prompt.name] = _HeldPrompt(prompt, by_number, state)
        self._changed = True

    def _tell(self, name: str) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(name)
            except Exception:
                self._logger.exception("a listener of the prompt cache failed")

    def _load(self, file: Path) -> None:
        try:
            head, body = _read(file, self._source)
            for state in _frames(body):
                self._put(proto.PromptChange.FromString(state))
            self.revision, self.filled = int(head["revision"]), True
            self.stale_since = datetime.fromisoformat(head["at"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, LookupError, TypeError, DecodeError) as error:
            self._prompts.clear()
            self._logger.warning("the prompts kept in %s cannot be read: %s", file, error)
        self._changed = False


def _read(file: Path, source: CacheSource) -> tuple[dict[str, Any], bytes]:
    """What says what the file is, and the states in it; a ValueError where it is not what this cache has written."""
    with file.open("rb") as kept:
        content = kept.read(_FILE_BYTES + 1)
    line, _, body = content[:_FILE_BYTES].partition(b"\n")
    head: dict[str, Any] = json.loads(line)
    if head["source"] | {"names": tuple(head["source"]["names"])} != asdict(source):
        raise ValueError("it is of another ledger, project or selection")
    # Also of one that is too large: it was cut.
    if head["sha256"] != hashlib.sha256(body).hexdigest():
        raise ValueError("it is damaged, or larger than any that is written")
    return head, body


def _frame(state: bytes) -> bytes:
    return len(state).to_bytes(4, "big") + state


def _frames(body: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(body):
        length = int.from_bytes(body[at : at + 4], "big")
        yield body[at + 4 : at + 4 + length]
        at += 4 + length


def _replace(file: Path, content: bytes) -> None:
    if len(content) > _FILE_BYTES:
        raise OSError(f"they take {len(content)} bytes, and a file has at most {_FILE_BYTES}")
    file.parent.mkdir(parents=True, exist_ok=True)
    # Made readable for its owner alone.
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "wb") as written:
            written.write(content)
            written.flush()
            os.fsync(written.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
