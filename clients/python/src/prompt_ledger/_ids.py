from __future__ import annotations

import secrets
import time
import uuid


def uuid7() -> str:
    """A new UUIDv7 (RFC 9562) in text form: sorted by time, and never made twice."""
    milliseconds = time.time_ns() // 1_000_000
    # Drawn at once: each draw is a system call.
    chance = secrets.randbits(74)
    value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | chance >> 62 << 64
    return str(uuid.UUID(int=value | 0b10 << 62 | chance & (1 << 62) - 1))
