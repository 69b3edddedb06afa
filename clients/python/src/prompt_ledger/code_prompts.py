"""Prompts that live in application code: a class, a map, a list of dictionaries, or a folder of files."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from prompt_ledger import _values as values
from prompt_ledger import proto
from prompt_ledger._calls import Call, Program, get_version
from prompt_ledger._values import Json
from prompt_ledger.records import PromptVersion, RegisteredPrompt, as_dict

Source = type[object] | Mapping[str, str | Json] | Sequence[Json | proto.CodePrompt] | str | os.PathLike[str]
"""Where prompts are registered from:

- a class, each public attribute of which that is a text (or a dictionary) is a prompt of that name,
- a map from names to texts or dictionaries,
- a list of dictionaries with the fields of the contract's ``CodePrompt``: ``name``, ``template_source`` or ``chat``,
  ``template_hash``, ``template_format``, ``config``, ``labels``, ``description``, ``owner_team``, ``path``, ``note``,
- the path of a folder: ``shop/greeting.hbs`` is the prompt ``shop.greeting``. Files end in ``.hbs``, ``.md`` or ``.txt``
  (templates), or ``.j2`` or ``.jinja`` (opaque texts).
"""

_FORMATS = {".hbs": "handlebars", ".md": "handlebars", ".txt": "handlebars", ".j2": "opaque", ".jinja": "opaque"}


class RegisterOptions(TypedDict, total=False):
    """What a registration may be told."""

    set_active: bool
    """Whether to make the versions the active ones; true where it is absent."""
    created_by: str
    repository: str
    commit: str


@dataclass(frozen=True, slots=True)
class Registration:
    """What a registration came to, or with ``dry_run`` would come to."""

    registered: tuple[RegisteredPrompt, ...]
    revision: int
    diff: str
    """For people: what differs from the ledger, as unified diffs. Of a dry run only; empty where nothing differs."""

    @property
    def changed(self) -> bool:
        return any(each.action != "unchanged" for each in self.registered)

    @property
    def exit_code(self) -> int:
        """For CI: 0 where nothing would be written, else 1."""
        return int(self.changed)


def read(source: Source) -> list[proto.CodePrompt]:
    """The prompts of a source."""
    return [_code_prompt(each) for each in _definitions(source)]


def hashes(registration: Registration) -> dict[str, str]:
    return {each.name: each.checksum_hash for each in registration.registered}


def register(prompts: list[proto.CodePrompt], options: RegisterOptions, *, dry_run: bool) -> Program[Registration]:
    request = proto.RegisterCodePromptsRequest(
        prompts=prompts,
        dry_run=dry_run,
        set_active=options.get("set_active"),
        created_by=options.get("created_by", ""),
    )
    if "repository" in options or "commit" in options:
        request.source.repository = options.get("repository", "")
        request.source.commit = options.get("commit", "")
    answer: proto.RegisterCodePromptsResponse
    answer = yield Call("code", "RegisterCodePrompts", request, lambda response: response)
    registered = tuple(map(RegisteredPrompt.read, answer.registered))
    differences = []
    for prompt, outcome in zip(prompts, registered, strict=False):
        if dry_run and outcome.action != "unchanged":
            before = None
            if outcome.previous_version is not None:
                before = yield get_version(prompt.name, {"version": outcome.previous_version})
            differences.append(_difference(prompt, outcome, before))
    return Registration(registered, answer.revision, "".join(differences))


def _definitions(source: Source) -> Iterator[Json | proto.CodePrompt]:
    match source:
        case type():
            yield from _named({name: value for name, value in vars(source).items() if not name.startswith("_")})
        case Mapping():
            yield from _named(source)
        case str() | os.PathLike():
            yield from _folder(Path(source))
        case _:
            yield from source


def _named(prompts: Mapping[str, Any]) -> Iterator[Json]:
    for name, value in prompts.items():
        if isinstance(value, str):
            yield {"name": name, "template_source": value}
        elif isinstance(value, Mapping):
            yield {"name": name, **value}


def _folder(folder: Path) -> Iterator[Json]:
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder of prompts")
    for path in sorted(folder.rglob("*")):
        if path.suffix in _FORMATS and path.is_file():
            inside = path.relative_to(folder)
            yield {
                "name": ".".join(inside.with_suffix("").parts),
                # Bytes, not text: line ends are part of the content.
                "template_source": path.read_bytes().decode(),
                "template_format": _FORMATS[path.suffix],
                "path": inside.as_posix(),
            }


def _code_prompt(definition: Json | proto.CodePrompt) -> proto.CodePrompt:
    if isinstance(definition, proto.CodePrompt):
        return definition
    fields = dict(definition)
    chat, config = fields.pop("chat", None), fields.pop("config", None)
    if isinstance(fields.get("template_format"), str):
        fields["template_format"] = values.enum(proto.TemplateFormat, "TEMPLATE_FORMAT_", fields["template_format"])
    prompt = values.message(proto.CodePrompt, fields, f"prompts[{fields.get('name', '?')}]")
    if chat is not None:
        prompt.chat_template.CopyFrom(values.chat(chat))
    if config is not None:
        prompt.config.CopyFrom(values.config(config))
    return prompt


def template_hash(template: str) -> str:
    """The hash of a text, as ``template_hash`` has it."""
    return hashlib.sha256(template.encode()).hexdigest()


def _difference(prompt: proto.CodePrompt, outcome: RegisteredPrompt, before: PromptVersion | None) -> str:
    """A unified diff of the current version and the content in code."""
    old = f"{prompt.name} (version {before.number})" if before is not None else "/dev/null"
    new = f"{prompt.name} (code, {outcome.action})"
    lines = difflib.unified_diff(_lines(before.raw) if before is not None else [], _lines(prompt), old, new)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(content: proto.CodePrompt | proto.PromptVersion) -> list[str]:
    """A content as people read it."""
    text = content.template_source
    for entry in map(as_dict, content.chat_template.entries):
        text += _readable(entry.get("message", entry))
    if content.HasField("config"):
        text += f"config: {_readable(as_dict(content.config))}"
    return text.splitlines(keepends=True)


def _readable(fields: Mapping[str, Any]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in fields.items()) + "\n"
