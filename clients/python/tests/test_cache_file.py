"""The file of a cache, bit by bit."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from prompt_ledger._cache_file import CacheFile, CacheSource
from tests.events import prompt_state

KEY = ("x-api-key", "pl_secret")
PROJECT = ("x-ledger-project", "x")
AT = datetime(2026, 1, 1, 0, 0, 0, 123_000, UTC)
STATES = [prompt_state("a", 0, 1, 2, label="staging").change, prompt_state("b", 0, 5).change]


def source(**other: object) -> CacheSource:
    fields = {"server": "http://a", "headers": (KEY,), "names": ("a",), "name_prefix": ""}
    return CacheSource(**{**fields, **other})  # type: ignore[arg-type]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = CacheFile(tmp_path / "kept" / "prompts", source())
    assert file.read() is None
    file.write(STATES, AT)
    kept = file.read()
    assert kept is not None
    assert (kept.states, kept.current_at) == (STATES, AT)
    assert [each.name for each in file.path.parent.iterdir()] == ["prompts"]


def test_every_damage_is_found(tmp_path: Path) -> None:
    file = CacheFile(tmp_path / "prompts", source())
    file.write(STATES, AT)
    whole = file.path.read_bytes()
    for at in range(len(whole)):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            file.path.write_bytes(damaged)
            with pytest.raises(ValueError, match="damaged"):
                file.read()


@pytest.mark.parametrize(
    "other",
    [
        {"server": "http://b"},
        {"headers": (KEY, PROJECT)},
        {"headers": (("x-api-key", "pl_of-another-project"),)},
        {"headers": ()},
        {"names": ("a", "b")},
        {"name_prefix": "a"},
    ],
)
def test_a_file_of_something_else_is_not_read(tmp_path: Path, other: dict[str, object]) -> None:
    CacheFile(tmp_path / "prompts", source()).write(STATES, AT)
    with pytest.raises(ValueError, match="another ledger, project, key or selection"):
        CacheFile(tmp_path / "prompts", source(**other)).read()


def test_the_order_of_names_does_not_matter_and_the_key_is_nowhere(tmp_path: Path) -> None:
    CacheFile(tmp_path / "prompts", source(names=("a", "b"))).write(STATES, AT)
    assert CacheFile(tmp_path / "prompts", source(names=("b", "a", "b"))).read() is not None
    assert KEY[1].encode() not in (tmp_path / "prompts").read_bytes()
    assert KEY[1] not in repr(source())
