"""Each block of the README does what it says."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from prompt_ledger.testing import DevServer

README = Path(__file__).parents[1] / "README.md"
BLOCKS: list[str] = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)


def ten_lines() -> str:
    return BLOCKS[0]


@pytest.mark.parametrize("block", BLOCKS, ids=[block.splitlines()[0][:50] for block in BLOCKS])
def test_a_block_runs(block: str, prompt_ledger_server: DevServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEDGER_SERVER", prompt_ledger_server.server)
    monkeypatch.setenv("LEDGER_API_KEY", prompt_ledger_server.api_key)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "greeting.hbs").write_text("Greet {{name}}.")
    names: dict[str, object] = {"__name__": "readme"}
    exec(compile(block, "README.md", "exec"), names)
    main = names.get("main")
    if asyncio.iscoroutinefunction(main):
        asyncio.run(main())
