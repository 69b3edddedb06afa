"""The blocking client."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

from prompt_ledger import _calls as calls
from prompt_ledger import code_prompts
from prompt_ledger._calls import ExecutionFilter, TailFilter
from prompt_ledger._executing import CodeHashes
from prompt_ledger._settings import ConnectOptions, Settings
from prompt_ledger._spec import SpecOptions
from prompt_ledger._steps.follower import Follower
from prompt_ledger._sync.cache import PromptCache
from prompt_ledger._sync.prompts import Prompts
from prompt_ledger._sync.transport import Transport
from prompt_ledger._sync.updates import Tail, Updates
from prompt_ledger._values import Json, Seconds
from prompt_ledger._wire import RawStubs
from prompt_ledger.code_prompts import RegisterOptions, Registration, Source
from prompt_ledger.records import Execution


class PromptLedger:
    """A client of one ledger. Threads may share it; it connects with the first call, and again when the connection breaks."""

    def __init__(self, server: str | None = None, **options: Unpack[ConnectOptions]) -> None:
        settings = Settings.of(server, options)
        self._server = settings.server
        self._transport = Transport(settings)
        self._code = CodeHashes(tracking_only=settings.tracking_only)
        self.prompts = Prompts(self._transport)

    @property
    def raw(self) -> RawStubs:
        """The generated stubs over the same connection."""
        return self._transport.raw

    # Executing.

    def run(self, prompt: str, variables: Json | None = None, **options: Unpack[SpecOptions]) -> Execution:
        """Executes a prompt within the call. A failed execution is a result: ``raise_for_status`` makes it an error."""
        spec, tracking, limit = self._code.spec(prompt, variables, options)
        return self._transport.call(calls.run(spec, tracking=tracking, limit=limit))

    def execute(self, prompt: str, variables: Json | None = None, **options: Unpack[SpecOptions]) -> Execution:
        """Executes a prompt that is in code: the text that this client registered, where it did."""
        spec, tracking, limit = self._code.spec(prompt, variables, options, tracking=True)
        return self._transport.call(calls.run(spec, tracking=tracking, limit=limit))

    def stream(self, prompt: str, variables: Json | None = None, **options: Unpack[SpecOptions]) -> Updates:
        """Executes a prompt and tells what happens. Without an idempotency key, to close it is to cancel the execution."""
        spec, tracking, _ = self._code.spec(prompt, variables, options)
        return Updates(self._transport, Follower(spec=spec, tracking=tracking))

    def submit(self, prompt: str, variables: Json | None = None, **options: Unpack[SpecOptions]) -> Handle:
        """Hands an execution over to a worker. Where no idempotency key is given it gets one, so that repeats are safe."""
        spec, tracking, limit = self._code.spec(prompt, variables, options, keyed=True)
        submission = self._transport.call(calls.submit(spec, tracking=tracking, limit=limit))
        return Handle(self._transport, submission.id, submission.status, reused=submission.reused)

    def handle(self, execution_id: str) -> Handle:
        """A handle of an execution that is known by its id."""
        return Handle(self._transport, execution_id)

    # Reading executions.

    def executions(self, **filters: Unpack[ExecutionFilter]) -> Iterator[Execution]:
        """Executions that match, the newest first; without their texts, but with ``full``."""
        return self._transport.pages(calls.list_executions(filters))

    def watch(self, execution_id: str, after_sequence: int = 0) -> Updates:
        """What happens to an execution, from after that state change on."""
        return Updates(self._transport, Follower(execution_id, after_sequence))

    def tail(self, **filters: Unpack[TailFilter]) -> Tail:
        """What happens to all executions that match, without end."""
        return Tail(self._transport, calls.tail_request(filters))

    # Prompts.

    def register_code_prompts(self, source: Source, *, dry_run: bool = False, **options: Unpack[RegisterOptions]) -> Registration:
        """Registers prompts that live in code, all or none; :meth:`execute` then runs the text in hand. With ``dry_run``
        nothing is written, and the answer says what would be.
        """
        program = code_prompts.register(code_prompts.read(source), options, dry_run=dry_run)
        registration = self._transport.program(program)
        if not dry_run:
            self._code.keep(registration)
        return registration

    def prompt_cache(
        self, names: Sequence[str] = (), *, name_prefix: str = "", file: str | os.PathLike[str] | None = None
    ) -> PromptCache:
        """Keeps prompts in memory, as they are in the ledger: those of ``names``, and those whose name begins with
        ``name_prefix``; all where there is neither. ``file`` keeps them for the next start with the same server, project, key and
        selection; it does not have the key.
        """
        return PromptCache(self._transport, tuple(names), name_prefix, Path(file) if file is not None else None)

    # Closing.

    def close(self) -> None:
        """Ends all calls and watches. Nothing can be called afterwards."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"PromptLedger({self._server!r})"


class Handle:
    """An execution that is under way, or was. ``status`` and ``reused`` are as ``submit`` was answered."""

    def __init__(self, transport: Transport, execution_id: str, status: str = "", *, reused: bool = False) -> None:
        self._transport = transport
        self.id = execution_id
        self.status = status
        self.reused = reused

    def watch(self, after_sequence: int = 0) -> Updates:
        """What happens to it, from after that state change on."""
        return Updates(self._transport, Follower(self.id, after_sequence))

    def result(self, timeout: Seconds | None = None) -> Execution:
        """Waits for its end."""
        with self.watch() as updates:
            return updates.result(timeout)

    def get(self) -> Execution:
        """It as it is now."""
        return self._transport.call(calls.get_execution(self.id))

    def cancel(self, reason: str = "") -> Execution:
        """Asks to cancel it; it may have to be watched to learn how it ends."""
        return self._transport.call(calls.cancel(self.id, reason))

    def __repr__(self) -> str:
        return f"Handle({self.id!r})"


def connect(server: str | None = None, **options: Unpack[ConnectOptions]) -> PromptLedger:
    """A client of the server that is given, or else of the one that the environment or the file of profiles names, or else of
    ``prompt-ledger dev`` on this machine.
    """
    return PromptLedger(server, **options)
