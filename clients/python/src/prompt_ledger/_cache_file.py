"""The file in which a cache of prompts keeps what it holds, for the next process to begin with.

It has a line that says what it is, 32 bytes of SHA-256 over what it is kept of, the milliseconds since 1970 at which nothing was
missing (8 bytes, big-endian), each prompt as a ``PromptChange`` behind its length (4 bytes, big-endian), and 32 bytes of SHA-256
over all before them.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from google.protobuf.message import DecodeError

from prompt_ledger import proto

# The most that a file may have, in bytes; what is larger is neither written nor read.
_FILE_BYTES = 256 * 1024 * 1024
_MAGIC = b"prompt-ledger python cache 2\n"
_HASH = 32
_HEAD = len(_MAGIC) + _HASH + 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class CacheSource:
    """Which prompts of which ledger a cache holds. A file of another source is not read."""

    server: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    """Sent with each call: the key, which stands for its project, and the project that was named."""
    names: tuple[str, ...]
    """In any order."""
    name_prefix: str

    def digest(self) -> bytes:
        """A hash of all of it. The key cannot be found from it: a key is long and random."""
        parts = (self.server, self.headers, sorted(set(self.names)), self.name_prefix)
        return hashlib.sha256(json.dumps(parts).encode()).digest()


@dataclass(frozen=True, slots=True)
class Kept:
    """What a file had."""

    states: list[proto.PromptChange]
    current_at: datetime
    """Nothing was missing then."""


class CacheFile:
    """A file, and what it is kept of."""

    def __init__(self, path: Path, source: CacheSource) -> None:
        # The process may change its folder.
        self.path = path.absolute()
        self._of = source.digest()

    def read(self) -> Kept | None:
        """What it has; None where there is no file. An OSError or a ValueError where it is not what this cache has written."""
        try:
            # A named pipe is opened without waiting for its writer.
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            _check_own(os.fstat(descriptor))
            return self._kept(file.read(_FILE_BYTES + 1))

    def write(self, states: Iterable[proto.PromptChange], current_at: datetime) -> None:
        """Puts a file with these in its place. It is there whole or not at all, and readable for its owner alone."""
        milliseconds = (current_at - _EPOCH) // timedelta(milliseconds=1)
        parts = [_MAGIC, self._of, milliseconds.to_bytes(8, "big")]
        size = _HEAD + _HASH
        for state in states:
            encoded = state.SerializeToString(deterministic=True)
            parts += [len(encoded).to_bytes(4, "big"), encoded]
            size += 4 + len(encoded)
            if size > _FILE_BYTES:
                raise OSError(f"the prompts take more than the {_FILE_BYTES} bytes that a file has at most")
        body = b"".join(parts)
        _replace(self.path, body + hashlib.sha256(body).digest())

    def _kept(self, content: bytes) -> Kept:
        body, found = content[:-_HASH], content[-_HASH:]
        if len(content) > _FILE_BYTES:
            raise ValueError("it is larger than any that is written")
        if len(body) < _HEAD or not body.startswith(_MAGIC) or hashlib.sha256(body).digest() != found:
            raise ValueError("it is damaged, or no file of a cache")
        if body[len(_MAGIC) : len(_MAGIC) + _HASH] != self._of:
            raise ValueError("it is of another ledger, project, key or selection")
        states, at = [], _HEAD
        while at < len(body):
            end = at + 4 + int.from_bytes(body[at : at + 4], "big")
            try:
                states.append(proto.PromptChange.FromString(body[at + 4 : end]))
            except DecodeError:
                raise ValueError("it is damaged") from None
            at = end
        try:
            current_at = _EPOCH + timedelta(milliseconds=int.from_bytes(body[_HEAD - 8 : _HEAD], "big"))
        except OverflowError:
            raise ValueError("it is damaged") from None
        return Kept(states, current_at)


def _check_own(about: os.stat_result) -> None:
    """What a file has is served as the prompts of the ledger: nobody else may say what that is."""
    if not stat.S_ISREG(about.st_mode):
        raise ValueError("it is no file")
    if os.name == "posix" and (about.st_uid != os.geteuid() or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        raise ValueError("it belongs to another user, or another user can write it")


def _replace(file: Path, content: bytes) -> None:
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
