"""What has been received of a stream and not been read yet."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from google.protobuf.message import Message as ProtoMessage

_MESSAGES = 1_024
_BYTES = 8 * 1024 * 1024

Received = TypeVar("Received", bound=ProtoMessage)


class Buffer(Generic[Received]):
    """Messages in order, bounded by their number and their bytes; a single one that is larger has room where it is alone."""

    def __init__(self) -> None:
        self._messages: deque[tuple[Received, int]] = deque()
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._messages)

    def has_room(self, message: Received) -> bool:
        return not self._messages or (len(self._messages) < _MESSAGES and self._bytes + message.ByteSize() <= _BYTES)

    def put(self, message: Received) -> None:
        size = message.ByteSize()
        self._messages.append((message, size))
        self._bytes += size

    def take(self) -> Received:
        message, size = self._messages.popleft()
        self._bytes -= size
        return message
