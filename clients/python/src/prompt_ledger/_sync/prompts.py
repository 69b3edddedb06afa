"""The registry's calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Unpack

from prompt_ledger import _calls as calls
from prompt_ledger._calls import DraftOptions, PromptFilter, PutOptions, VersionSelector, WriteOptions
from prompt_ledger._sync.transport import Transport
from prompt_ledger._values import Json
from prompt_ledger.records import Batch, Prompt, PromptChange, PromptVersion, Rendered, WrittenPrompt


class Prompts:
    """Prompts of the registry: writes full-mode ones, and reads those of both modes."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def put(self, name: str, template: str | None = None, **options: Unpack[PutOptions]) -> WrittenPrompt:
        """Creates a prompt, or writes a content and metadata of one that exists. A content that it has makes no new version."""
        return self._transport.call(calls.put(name, template, options))

    def get(self, name: str, *, min_revision: int | None = None) -> Prompt:
        """A prompt with its active version."""
        return self._transport.call(calls.get_prompt(name, min_revision))

    def list(self, **filters: Unpack[PromptFilter]) -> Iterator[Prompt]:
        """Prompts with their active versions, by name."""
        return self._transport.pages(calls.list_prompts(filters))

    def version(self, name: str, **selector: Unpack[VersionSelector]) -> PromptVersion:
        """One version; the active one where none is selected."""
        return self._transport.call(calls.get_version(name, selector))

    def versions(self, name: str, *, page_size: int = 0) -> Iterator[PromptVersion]:
        """All versions, the newest first."""
        return self._transport.pages(calls.list_versions(name, page_size))

    def history(self, name: str, *, mode: str = "", page_size: int = 0) -> Iterator[PromptVersion]:
        """All versions with their ``execution_count``, the newest first."""
        return self._transport.pages(calls.history(name, mode, page_size))

    def activate(self, name: str, version: int, **options: Unpack[WriteOptions]) -> Prompt:
        """Makes a version the active one: promotes it, or rolls back to it."""
        return self._transport.call(calls.activate(name, version, options))

    def label(self, name: str, label: str, version: int, **options: Unpack[WriteOptions]) -> Prompt:
        """Sets a label to a version; the answer's ``version`` is that one."""
        return self._transport.call(calls.set_label(name, label, version, options))

    def unlabel(self, name: str, label: str, **options: Unpack[WriteOptions]) -> Prompt:
        """Removes a label."""
        return self._transport.call(calls.remove_label(name, label, options))

    def render(self, name: str, variables: Json | None = None, **selector: Unpack[VersionSelector]) -> Rendered:
        """Exactly what an execution would send; records nothing."""
        return self._transport.call(calls.render(name, variables, selector))

    def render_draft(
        self, template: str | None = None, variables: Json | None = None, **options: Unpack[DraftOptions]
    ) -> Rendered:
        """The same of a content that is not stored."""
        return self._transport.call(calls.render_draft(template, variables, options))

    def archive(self, name: str, **options: Unpack[WriteOptions]) -> Prompt:
        """Takes a prompt out of lists and makes it not executable; its name stays taken."""
        return self._transport.call(calls.archive(name, options))

    def unarchive(self, name: str, **options: Unpack[WriteOptions]) -> Prompt:
        return self._transport.call(calls.unarchive(name, options))

    def changes(self, name: str = "", *, kinds: Sequence[str] = (), page_size: int = 0) -> Iterator[PromptChange]:
        """What was changed of a prompt, or of all prompts of the project, the newest first."""
        return self._transport.pages(calls.list_changes(name, kinds, page_size))

    def batch_get(self, names: Sequence[str], *, label: str = "", min_revision: int | None = None) -> Batch:
        """Several prompts, each with its active version or with the one that ``label`` points at."""
        return self._transport.program(calls.batch_get(names, label, min_revision))
