"""The explicit arguments of both clients."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from prompt_ledger._values import Seconds, seconds
from prompt_ledger._wire import LOGGER
from prompt_ledger.errors import InvalidOptions
from prompt_ledger.options import Pem, Profile, Target


class ConnectOptions(TypedDict, total=False):
    """How to connect. With a server, nothing of the address and the key is taken from the environment or a file."""

    api_key: str
    project: str
    """For system keys alone, which open all projects."""
    tls_ca: Pem
    """Certificates that vouch for the server's: the path of a PEM file, or its bytes. Like the next two refused with ``http``."""
    tls_cert: Pem
    tls_key: Pem
    profile: str
    """A profile of the file of profiles, instead of the one that the environment says."""
    allow_plaintext: bool
    """Whether the key may go over ``http`` to another machine, where anyone on the way can read it."""
    mode: Literal["full", "tracking_only"]
    """``tracking_only``: all prompts are in code, and ``run``, ``stream`` and ``submit`` execute such."""
    timeout: Seconds
    """Deadline of calls that answer once, their repeats included; 30 s. ``run`` and ``execute`` have their own."""
    patience: Seconds
    """How long a watch tries again without progress before it gives up; 5 minutes."""
    silence: Seconds
    """How long a stream may be silent before it counts as broken; 45 s."""
    interceptors: Sequence[Any]
    """gRPC's client interceptors, of ``grpc`` or ``grpc.aio``, around every call."""
    logger: logging.Logger | logging.LoggerAdapter[Any]
    """Told of each call at DEBUG and of each repeat at INFO, instead of the logger ``prompt_ledger``."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The arguments, checked."""

    server: str
    target: Target
    tracking_only: bool
    timeout: float
    patience: float
    silence: float
    interceptors: tuple[Any, ...]
    logger: logging.Logger | logging.LoggerAdapter[Any]

    @classmethod
    def of(cls, server: str | None, options: ConnectOptions) -> Settings:
        given: dict[str, Any] = {"server": server, **options}
        names = ("server", "api_key", "project", "tls_ca", "tls_cert", "tls_key")
        explicit = {name: given.pop(name) for name in names if name in given}
        profile = Profile.find(explicit, given.pop("profile", None), os.environ)
        target = Target.of(profile, allow_plaintext=given.pop("allow_plaintext", False))
        mode = given.pop("mode", "full")
        if mode not in ("full", "tracking_only"):
            raise InvalidOptions(f"{mode!r} is no mode of a client; it is 'full' or 'tracking_only'")
        settings = cls(
            server=profile.server,
            target=target,
            tracking_only=mode == "tracking_only",
            timeout=_positive("timeout", given.pop("timeout", 30)),
            patience=_positive("patience", given.pop("patience", 300)),
            silence=_positive("silence", given.pop("silence", 45)),
            interceptors=tuple(given.pop("interceptors", ())),
            logger=given.pop("logger", LOGGER),
        )
        if given:
            raise TypeError(f"unknown options: {', '.join(sorted(given))}")
        return settings


def _positive(name: str, value: Seconds) -> float:
    number = seconds(value)
    if not number > 0:
        raise InvalidOptions(f"{name} is to be more than 0 seconds")
    return number
