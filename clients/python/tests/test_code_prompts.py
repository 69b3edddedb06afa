"""Prompts that live in code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prompt_ledger import __main__ as command
from prompt_ledger import code_prompts, proto
from prompt_ledger.errors import InvalidField
from prompt_ledger.records import as_dict
from tests.conftest import done
from tests.scripted import KEY, Scripted


class Prompts:
    """A user's own."""

    WELCOME = "Hello {{name}}"
    SUPPORT = {"chat": [{"role": "user", "content": "{{q}}"}], "labels": ["production"]}
    _private = "not a prompt"
    RETRIES = 3

    def method(self) -> None: ...


def read(source: Any) -> list[dict[str, Any]]:
    return [as_dict(prompt) for prompt in code_prompts.read(source)]


def test_a_class_a_map_and_a_list_say_the_same() -> None:
    chat = {"entries": [{"message": {"role": "user", "content": "{{q}}"}}]}
    expected = [
        {"name": "WELCOME", "template_source": "Hello {{name}}"},
        {"name": "SUPPORT", "chat_template": chat, "labels": ["production"]},
    ]
    assert read(Prompts) == expected
    assert read({"WELCOME": Prompts.WELCOME, "SUPPORT": Prompts.SUPPORT}) == expected
    assert read([{"name": "WELCOME", "template_source": "Hello {{name}}"}, {"name": "SUPPORT", **Prompts.SUPPORT}]) == expected
    assert read([proto.CodePrompt(name="x")]) == [{"name": "x"}]


def test_a_folder_has_a_prompt_in_each_file(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "greeting.hbs").write_bytes(b"Hi {{name}}\r\n")
    (tmp_path / "old.j2").write_text("Hi {{ name }}")
    (tmp_path / "notes.rst").write_text("no prompt")
    assert read(tmp_path) == [
        {
            "name": "old",
            "template_source": "Hi {{ name }}",
            "template_format": "TEMPLATE_FORMAT_OPAQUE",
            "path": "old.j2",
        },
        {
            "name": "shop.greeting",
            "template_source": "Hi {{name}}\r\n",
            "template_format": "TEMPLATE_FORMAT_HANDLEBARS",
            "path": "shop/greeting.hbs",
        },
    ]
    with pytest.raises(NotADirectoryError):
        read(tmp_path / "old.j2")


def test_fields_that_are_none_are_named() -> None:
    with pytest.raises(InvalidField, match="prompts\\[WELCOME\\]"):
        read([{"name": "WELCOME", "template": "Hi"}])


def test_the_hash_is_that_of_the_ledger() -> None:
    template = "Hello {{name}}, welcome to {{company}}!"
    assert code_prompts.template_hash(template) == "49975a538ca4df085fbad972ff3cb847f99b470972f4c85a505004f10d44afa1"


def changed(scripted: Scripted) -> None:
    scripted.on(
        "RegisterCodePrompts",
        proto.RegisterCodePromptsResponse(
            registered=[
                proto.RegisteredPrompt(name="A", version=1, action=proto.REGISTRATION_ACTION_NEW),
                proto.RegisteredPrompt(name="B", version=4, action=proto.REGISTRATION_ACTION_UNCHANGED),
                proto.RegisteredPrompt(
                    name="C",
                    version=3,
                    previous_version=2,
                    change_detected=True,
                    action=proto.REGISTRATION_ACTION_UPDATED,
                    warnings=["no config"],
                ),
            ]
        ),
    )
    before = proto.PromptVersion(version_number=2, template_source="one\ntwo\n")
    before.config.params.temperature = 0.5
    scripted.on("GetVersion", proto.GetVersionResponse(version=before))


DIFF = """\
--- /dev/null
+++ A (code, new)
@@ -0,0 +1 @@
+new
\\ No newline at end of file
--- C (version 2)
+++ C (code, updated)
@@ -1,3 +1,2 @@
 one
-two
-config: params: {'temperature': 0.5}
+three
"""


async def test_a_dry_run_tells_people_and_ci_what_differs(scripted: Scripted, connect: Any) -> None:
    changed(scripted)
    source = {"A": "new", "B": "same", "C": "one\nthree\n"}
    registration = await done(connect(scripted.url).register_code_prompts(source, dry_run=True))
    assert registration.diff == DIFF
    assert (registration.changed, registration.exit_code) == (True, 1)
    assert scripted.requests("RegisterCodePrompts")[0].dry_run
    assert scripted.requests("GetVersion")[0].version_number == 2
    unchanged = code_prompts.Registration((registration.registered[1],), 7, "")
    assert (unchanged.changed, unchanged.exit_code) == (False, 0)


def test_the_command_registers_a_folder(
    scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(scripted)
    for name, text in {"A": "new", "B": "same", "C": "one\nthree\n"}.items():
        (tmp_path / f"{name}.hbs").write_text(text)
    monkeypatch.setenv("LEDGER_SERVER", scripted.url)
    monkeypatch.setenv("LEDGER_API_KEY", KEY)
    assert command.main(["register", str(tmp_path), "--dry-run"]) == 1
    told = capsys.readouterr().out
    assert told == "A: new, version 1\nB: unchanged, version 4\nC: updated, version 3\n  warning: no config\n" + DIFF
    assert command.main(["register", str(tmp_path), "--no-activate", "--created-by", "ci"]) == 0
    request = scripted.requests("RegisterCodePrompts")[1]
    assert (request.created_by, request.set_active, request.dry_run) == ("ci", False, False)
    assert command.main(["register", "/nowhere"]) == 2
    assert "no folder of prompts" in capsys.readouterr().err
