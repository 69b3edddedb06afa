"""A ledger for tests: ``prompt-ledger dev`` on free ports of this machine, in a folder that is removed with it.

With pytest, the fixtures ``prompt_ledger_server`` and ``prompt_ledger_client`` are there once this package is installed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prompt_ledger import aio
from prompt_ledger._sync.client import PromptLedger, connect

# How long the server may take to start, and to end once it is told to, in seconds.
_START = 60.0
_END = 15.0
# Of this process' environment, what the server's system needs. Nothing of it configures a ledger.
_INHERITED = ("PATH", "HOME", "TMPDIR", "TEMP", "SYSTEMROOT", "LD_LIBRARY_PATH", "RUST_BACKTRACE", "LLVM_PROFILE_FILE")


class DevServer:
    """A running server. It ends with this process at the latest."""

    def __init__(
        self,
        *,
        binary: str | os.PathLike[str] | None = None,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        path = find_binary(binary)
        self._folder = tempfile.TemporaryDirectory(prefix="prompt-ledger-")
        folder = Path(self._folder.name)
        self._log = folder / "log"
        command = [str(path), "dev", "--ready-json", "--exit-with-stdin", "--data-dir", str(folder / "data"), *arguments]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=folder,
                env={
                    **{name: os.environ[name] for name in _INHERITED if name in os.environ},
                    "DEFAULT_MODEL": "echo/echo",
                    **(environment or {}),
                },
            )
        try:
            ready = self._ready()
        except BaseException:
            self.close()
            raise
        self.server = ready["grpc"]
        """Where it serves gRPC: ``http://HOST:PORT``."""
        self.http = ready["http"]
        """Where it serves HTTP."""
        self.metrics = ready["metrics"]
        self.api_key = ready["key"]

    def connect(self, **options: Any) -> PromptLedger:
        """A blocking client of it."""
        return connect(self.server, **{"api_key": self.api_key, **options})

    def connect_async(self, **options: Any) -> aio.AsyncPromptLedger:
        """A client of it for asyncio."""
        return aio.connect(self.server, **{"api_key": self.api_key, **options})

    def close(self) -> None:
        """Ends it, and removes what it kept."""
        process = self._process
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _ready(self) -> dict[str, Any]:
        """What it says once it serves."""
        output = self._process.stdout
        assert output is not None
        late = threading.Timer(_START, self._process.kill)
        late.start()
        try:
            line = output.readline().decode()
        finally:
            late.cancel()
        if not line:
            raise RuntimeError(f"the server did not start:\n{self._log.read_text(errors='replace')[-4_000:]}")
        ready: dict[str, Any] = json.loads(line)
        return ready


def dev_server(
    *,
    binary: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
) -> DevServer:
    """Starts ``prompt-ledger dev``, with ``echo`` as its model, and returns once it serves.

    :param binary: the program; else that of ``PROMPT_LEDGER_BIN``, of the ``PATH``, or of the ``target`` of a workspace that this
        is run in.
    :param environment: settings of the server, such as ``{"OPENAI_BASE_URL": ...}``.
    :param arguments: further arguments of ``prompt-ledger dev``.
    """
    return DevServer(binary=binary, environment=environment, arguments=arguments)


def find_binary(binary: str | os.PathLike[str] | None = None) -> Path:
    """The program ``prompt-ledger``."""
    named = binary or os.environ.get("PROMPT_LEDGER_BIN")
    found = named or shutil.which("prompt-ledger") or _built()
    if found is None or not Path(found).is_file():
        where = f"{named} is no file" if named else "it is not in the PATH"
        raise FileNotFoundError(f"no prompt-ledger: {where}; install it, or name it by PROMPT_LEDGER_BIN")
    return Path(found).resolve()


def _built() -> Path | None:
    here = Path.cwd()
    targets = [Path(os.environ["CARGO_TARGET_DIR"])] if "CARGO_TARGET_DIR" in os.environ else []
    targets += [folder / "target" for folder in (here, *here.parents) if (folder / "Cargo.toml").is_file()]
    built = (target / profile / "prompt-ledger" for target in targets for profile in ("release", "debug"))
    return next((path for path in built if path.is_file()), None)
