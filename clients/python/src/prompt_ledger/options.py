"""Where a client connects to, and as whom.

A profile is taken whole or not at all: the explicit arguments, or the environment (``LEDGER_SERVER``, ``LEDGER_API_KEY``,
``LEDGER_PROJECT``, ``LEDGER_TLS_CA``, ``LEDGER_TLS_CERT``, ``LEDGER_TLS_KEY``), or a profile of the file of profiles. Where none
of them names a server, it is ``prompt-ledger dev`` on this machine, with its key.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from prompt_ledger.errors import InvalidOptions

DEVELOPMENT_SERVER = "http://127.0.0.1:50051"
# What `prompt-ledger dev` accepts on loopback without any setting.
DEVELOPMENT_KEY = "dev-key-change-in-production"

FIELDS = ("server", "api_key", "project", "tls_ca", "tls_cert", "tls_key")
"""What a profile has in files; in the environment ``LEDGER_SERVER`` and so on."""

# Those of FIELDS that an encrypted connection alone uses.
_TLS_FIELDS = ("tls_ca", "tls_cert", "tls_key")

# Of the file of profiles, in bytes.
_LARGEST_FILE = 1024 * 1024

Pem = str | os.PathLike[str] | bytes
"""The path of a file in PEM form, or as ``bytes`` its content."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A server, and what opens it. Its text shows no key."""

    server: str
    """``http://HOST:PORT`` or ``https://HOST:PORT``, without a user and a password."""
    api_key: str = field(default="", repr=False)
    project: str = ""
    """Needed by system keys alone, which open all projects."""
    tls_ca: Pem | None = field(default=None, repr=False)
    """The certificates that vouch for the server's; the system's where there are none."""
    tls_cert: Pem | None = field(default=None, repr=False)
    """The client's own certificate, for servers that ask for one, and its key."""
    tls_key: Pem | None = field(default=None, repr=False)
    source: str = field(default="", repr=False, compare=False)
    """Where it stands, for errors, which show nothing of a file. Empty: they may show the server."""

    def __post_init__(self) -> None:
        if "@" in self.server:
            # Whatever stands before it may be a password, so nothing of it is shown.
            raise InvalidOptions(
                f"{self.named('the address')} holds a user or a password, which an address of a server does not have: write"
                " http://HOST:PORT or https://HOST:PORT, and give the key as api_key or LEDGER_API_KEY"
            )

    def named(self, part: str) -> str:
        """Says in errors where a part of the profile stands."""
        return f"{part} of {self.source}" if self.source else part

    def shown(self, part: str, value: str) -> str:
        """Names a value in errors."""
        return self.named(part) if self.source else f"`{value}`"

    @classmethod
    def find(cls, given: Mapping[str, Any], profile: str | None, environment: Mapping[str, str]) -> Profile:
        """The profile that the explicit arguments name, or else the environment, or else the file."""
        explicit = {name: value for name, value in given.items() if value is not None}
        if "server" in explicit:
            return cls(**explicit)
        if explicit:
            names = ", ".join(sorted(explicit))
            raise InvalidOptions(f"{names} without a server: a profile is taken whole, so give the server too")
        if profile is None and environment.get("LEDGER_SERVER"):
            variables = {name: environment.get(f"LEDGER_{name.upper()}") for name in FIELDS}
            # An empty variable counts as none.
            return cls(**{name: value for name, value in variables.items() if value})
        named = profile or environment.get("LEDGER_PROFILE")
        return _from_file(named, environment) or cls(DEVELOPMENT_SERVER, DEVELOPMENT_KEY)


def _from_file(named: str | None, environment: Mapping[str, str]) -> Profile | None:
    """The profile of that name, or ``default``; None where neither it nor the file is named and there is none."""
    path, name = _profiles(environment), named or "default"
    is_asked_for = bool(named or environment.get("LEDGER_CONFIG"))
    try:
        # A named pipe is opened without waiting for its writer.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            content = file.read(_LARGEST_FILE + 1) if stat.S_ISREG(mode) else b""
            # What is cut is not looked at.
            whole = content.decode() if len(content) <= _LARGEST_FILE else ""
            tables = tomllib.loads(whole)
    except FileNotFoundError:
        if not is_asked_for:
            return None
        raise InvalidOptions(f"the profile {name!r} is wanted, and there is no {path}") from None
    except OSError as error:
        raise InvalidOptions(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        # The place alone: what stands there may be a key.
        place = re.search(r"at line \d+, column \d+", str(error))
        raise InvalidOptions(f"{path} is no TOML" + (f" {place[0]}" if place else "")) from None
    if not stat.S_ISREG(mode):
        raise InvalidOptions(f"{path} is no file")
    if len(content) > _LARGEST_FILE:
        raise InvalidOptions(f"{path} has more than 1 MiB: it holds something else than profiles")
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InvalidOptions(f"{path} can be read by others, and keys stand in it: chmod 600 {path}")
    profiles = tables.pop("profiles", {})
    if not isinstance(profiles, dict) or tables:
        raise InvalidOptions(f"{path} holds something else than tables [profiles.NAME]")
    if name not in profiles:
        if not is_asked_for:
            return None
        raise InvalidOptions(f"{path} has no profile {name!r}")
    profile = profiles[name]
    source = f"the profile {name!r} of {path}"
    if not isinstance(profile, dict) or not all(isinstance(value, str) for value in profile.values()):
        raise InvalidOptions(f"{source} is to be a table of texts")
    if not set(FIELDS).issuperset(profile):
        raise InvalidOptions(f"{source} has something else than {', '.join(sorted(FIELDS))}")
    # An empty text counts as none, as an empty variable does.
    texts = {field: text for field, text in profile.items() if text}
    if "server" not in texts:
        raise InvalidOptions(f'{source} names no server: write server = "http://HOST:PORT" or "https://HOST:PORT" there')
    return Profile(**texts, source=source)


def _profiles(environment: Mapping[str, str]) -> Path:
    """The file of profiles."""
    if named := environment.get("LEDGER_CONFIG"):
        return Path(named)
    home = environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME") or Path.home()) / ".config"
    return Path(home) / "prompt-ledger" / "config.toml"


@dataclass(frozen=True, slots=True)
class Target:
    """What a channel is made of."""

    address: str
    """As gRPC names it."""
    tls: Tls | None
    """None: plain text."""
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    """Sent with each call."""

    @classmethod
    def of(cls, profile: Profile, *, allow_plaintext: bool) -> Target:
        url = _url(profile)
        secure, host = url.scheme == "https", url.hostname or ""
        key = profile.api_key
        if not secure and (useless := _tls_settings(profile)):
            raise InvalidOptions(
                f"{useless} cannot be used with http://, which is not encrypted: write https://, or leave the TLS settings out"
            )
        if not secure and key and not allow_plaintext and not is_loopback(host):
            raise InvalidOptions(
                f"the API key would go to {profile.shown('the server', host)} unencrypted: write https://,"
                " or set allow_plaintext where the way is safe"
            )
        if key == DEVELOPMENT_KEY and not is_loopback(host):
            there = profile.shown("the server", host)
            raise InvalidOptions(f"the development key goes to this machine alone, not to {there}: make a key there")
        if not _is_header(key):
            named = profile.named("the api_key")
            raise InvalidOptions(f"{named} holds characters that no key has; was it copied whole, without line breaks?")
        if not _is_header(profile.project):
            raise InvalidOptions(f"{profile.named('the project')} holds characters that no name of a project has")
        headers = (("x-api-key", key), ("x-ledger-project", profile.project))
        bracketed = f"[{host}]" if ":" in host else host
        return cls(
            address=f"dns:///{bracketed}:{url.port or (443 if secure else 80)}",
            tls=Tls.of(profile) if secure else None,
            headers=tuple(header for header in headers if header[1]),
        )


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates and keys in PEM form."""

    roots: bytes | None
    """Those that gRPC brings where there are none."""
    certificate: bytes | None
    key: bytes | None = field(repr=False)

    @classmethod
    def of(cls, profile: Profile) -> Tls:
        if (profile.tls_cert is None) != (profile.tls_key is None):
            raise InvalidOptions("tls_cert and tls_key belong together: give both or neither")
        roots = _pem(profile, "tls_ca", "CERTIFICATE") if profile.tls_ca is not None else _system_roots()
        return cls(
            roots=roots,
            certificate=_pem(profile, "tls_cert", "CERTIFICATE"),
            key=_pem(profile, "tls_key", "PRIVATE KEY"),
        )


def _tls_settings(profile: Profile) -> str:
    """Those of the profile, by the names that its user wrote; empty where there are none."""
    given = [name for name in _TLS_FIELDS if getattr(profile, name) is not None]
    if profile.source:
        return profile.named(", ".join(given)) if given else ""
    return ", ".join(f"{name} (LEDGER_{name.upper()})" for name in given)


def _url(profile: Profile) -> SplitResult:
    usable = re.fullmatch(r"https?://[^\s/?#]+/?", profile.server, re.IGNORECASE) is not None
    try:
        url = urlsplit(profile.server)
        usable = usable and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if not usable:
        # Without a query or a fragment, in which a key may stand.
        shown = profile.shown("the server", re.sub(r"[?#].*", "...", profile.server, flags=re.DOTALL))
        raise InvalidOptions(f"{shown} is no address of a server; write http://HOST:PORT or https://HOST:PORT")
    return url


def is_loopback(host: str) -> bool:
    """Whether a host is ``localhost`` or a loopback address."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _is_header(value: str) -> bool:
    return value.isascii() and value.isprintable() and value == value.strip()


def _pem(profile: Profile, field: str, kind: str) -> bytes | None:
    pem: Pem | None = getattr(profile, field)
    if pem is None:
        return None
    option = profile.named(field)
    try:
        content = pem if isinstance(pem, bytes) else Path(pem).read_bytes()
    except OSError as error:
        # Of a path that stands in a file, nothing is shown.
        raise InvalidOptions(f"{option}: {error.strerror if profile.source else error}") from None
    if kind == "CERTIFICATE":
        try:
            # gRPC would only fail at the first call, and not say why.
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=content.decode())
        except (ssl.SSLError, ValueError):
            raise InvalidOptions(f"{option} holds no certificate in PEM form") from None
    elif b"PRIVATE KEY-----" not in content:
        raise InvalidOptions(f"{option} holds no private key in PEM form")
    return content


def _system_roots() -> bytes | None:
    """The certificates that the system trusts; None where it keeps them elsewhere than in files."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return Path(paths.cafile).read_bytes()
    if paths.capath:
        return b"\n".join(path.read_bytes() for path in sorted(Path(paths.capath).glob("*.[0-9]"))) or None
    return None
