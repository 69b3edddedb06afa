"""Prompts in memory, fed by a server that goes away."""

from __future__ import annotations

import asyncio
import os
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from prompt_ledger import errors
from tests.conftest import close, done, until
from tests.events import prompt_state, prompts_heartbeat, synced
from tests.scripted import Hang, Refusal, Scripted

Code = grpc.StatusCode
ALL = [prompt_state("a", 0, 1, 2, label="staging"), prompt_state("b", 0, 5), synced(7)]


async def changes(cache: Any, count: int) -> list[str]:
    """The names of the next changes."""
    names: list[str] = []
    enough = threading.Event()

    def listen(name: str) -> None:
        names.append(name)
        if len(names) >= count:
            enough.set()

    end = cache.on_change(listen)
    assert await asyncio.to_thread(enough.wait, 60)
    end()
    return names


def running() -> list[str]:
    """The threads and tasks of clients, by their names."""
    threads = [thread.name for thread in threading.enumerate()]
    tasks = [task.get_name() for task in asyncio.all_tasks()]
    return [name for name in threads + tasks if name.startswith("prompt-ledger")]


async def test_prompts_are_read_from_memory(scripted: Scripted, connect: Any) -> None:
    scripted.on("WatchPrompts", [*ALL, Hang()])
    cache = connect(scripted.url).prompt_cache(["a", "b"], name_prefix="shop.")
    with pytest.raises(errors.NotSynced):
        cache.get("a")
    await done(cache.synced())
    assert cache.get("a").template == "a 1"
    assert cache.get("a", "active").number == 1
    assert cache.get("a", "staging").template == "a 2"
    assert cache.get("a", "latest") is None
    assert cache.get("c") is None
    assert cache.prompt("b").active_version == 5
    assert (cache.names(), cache.revision, cache.stale_since, cache.failure) == (["a", "b"], 7, None, None)
    request = scripted.requests("WatchPrompts")[0]
    assert (list(request.names), request.name_prefix, request.after_revision) == (["a", "b"], "shop.", 0)
    await close(cache)
    assert cache.get("a").number == 1, "what is held can still be read"
    assert cache.stale_since is not None


async def test_changes_come_live_and_are_told(scripted: Scripted, connect: Any) -> None:
    go = threading.Event()
    scripted.on("WatchPrompts", [*ALL, go, prompt_state("a", 8, 2), Hang()])
    cache = connect(scripted.url).prompt_cache()
    await done(cache.synced())
    waiting = asyncio.create_task(changes(cache, 1))
    await asyncio.sleep(0)
    go.set()
    assert await waiting == ["a"]
    await done(cache.reached(8))
    assert cache.get("a").number == 2
    assert cache.get("a", "staging") is None


async def test_the_last_state_is_served_while_the_server_is_away(scripted: Scripted, connect: Any) -> None:
    back = threading.Event()
    broke = threading.Event()
    again: list[Any] = [broke.set, back, prompt_state("b", 9, 6), prompts_heartbeat(9), Hang()]
    scripted.on("WatchPrompts", [*ALL, Refusal(Code.UNAVAILABLE, "DRAINING", 0.01)], again)
    cache = connect(scripted.url).prompt_cache()
    await done(cache.synced())
    assert await asyncio.to_thread(broke.wait, 60)
    assert cache.stale_since is not None
    assert cache.get("b").number == 5
    back.set()
    await done(cache.reached(9))
    assert cache.get("b").number == 6
    assert [request.after_revision for request in scripted.requests("WatchPrompts")] == [0, 7]


async def test_what_another_ledger_does_not_have_is_dropped(scripted: Scripted, connect: Any) -> None:
    ahead = Refusal(Code.OUT_OF_RANGE, "REVISION_AHEAD", metadata={"last_revision": "3"})
    cut, listens = Refusal(Code.INTERNAL), threading.Event()
    scripted.on("WatchPrompts", [*ALL, cut], ahead, [listens, prompt_state("a", 0, 9), synced(3), Hang()])
    cache = connect(scripted.url).prompt_cache()
    await done(cache.synced())
    waiting = asyncio.create_task(changes(cache, 2))
    await asyncio.sleep(0)
    listens.set()
    await waiting
    assert cache.names() == ["a"]
    assert cache.get("a").number == 9
    assert [request.after_revision for request in scripted.requests("WatchPrompts")] == [0, 7, 0]


async def test_a_refusal_ends_the_feed_and_is_told(scripted: Scripted, connect: Any) -> None:
    scripted.on("WatchPrompts", [*ALL, Refusal(Code.UNAUTHENTICATED, "KEY_INVALID")])
    cache = connect(scripted.url).prompt_cache()
    with pytest.raises(errors.KeyInvalid):
        await done(cache.reached(100))
    assert isinstance(cache.failure, errors.KeyInvalid)
    assert cache.get("a").number == 1
    assert cache.stale_since is not None


@pytest.mark.parametrize(
    ("code", "reason"),
    [(Code.RESOURCE_EXHAUSTED, "TOO_MANY_WATCHERS"), (Code.INTERNAL, "INTERNAL"), (Code.UNIMPLEMENTED, "")],
)
async def test_what_passes_is_waited_for(scripted: Scripted, connect: Any, code: Code, reason: str) -> None:
    scripted.on("WatchPrompts", Refusal(code, reason, 0.01), [*ALL, Hang()])
    cache = connect(scripted.url).prompt_cache()
    await done(cache.synced())
    assert cache.names() == ["a", "b"]


async def test_a_cache_that_is_behind_is_stale(scripted: Scripted, connect: Any) -> None:
    behind = [prompts_heartbeat(7, behind=True), prompt_state("b", 9, 6)]
    scripted.on("WatchPrompts", [*ALL, *behind, Hang()])
    cache = connect(scripted.url).prompt_cache()
    await done(cache.reached(9))
    assert cache.get("b").number == 6
    assert cache.stale_since is not None


async def test_waiting_ends_in_time(scripted: Scripted, connect: Any) -> None:
    scripted.on("WatchPrompts", [Hang()])
    cache = connect(scripted.url).prompt_cache()
    with pytest.raises(errors.DeadlineExceeded):
        await done(cache.synced(timeout=0.1))


async def test_a_file_is_bounded(
    scripted: Scripted, connect: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.on("WatchPrompts", [*ALL, Hang()], [*ALL, Hang()], [Hang()])
    file, ledger = tmp_path / "prompts", connect(scripted.url)
    monkeypatch.setattr("prompt_ledger._cache_file._FILE_BYTES", 100)
    first = ledger.prompt_cache(file=file)
    await done(first.synced())
    await close(first)
    assert not file.exists()
    assert "could not be kept" in caplog.text
    monkeypatch.undo()
    second = ledger.prompt_cache(file=file)
    await done(second.synced())
    await close(second)
    monkeypatch.setattr("prompt_ledger._cache_file._FILE_BYTES", file.stat().st_size - 1)
    with pytest.raises(errors.NotSynced):
        ledger.prompt_cache(file=file).get("a")
    assert "cannot be read" in caplog.text


async def test_a_cache_starts_from_the_file_of_its_last_run(
    scripted: Scripted, connect: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "kept" / "prompts"
    gate = threading.Event()
    scripted.on("WatchPrompts", [*ALL, Hang()], [gate, prompt_state("b", 0, 6), synced(8), Hang()], [Hang()])
    ledger = connect(scripted.url)
    first = ledger.prompt_cache(file=file)
    await done(first.synced())
    await close(first)
    assert file.stat().st_mode & 0o077 == 0
    second = ledger.prompt_cache(file=file)
    assert second.get("a", "staging").template == "a 2", "at once, without the server"
    assert second.stale_since is not None
    gate.set()
    await done(second.reached(8))
    assert second.names() == ["b"]
    assert second.get("b").number == 6
    assert scripted.requests("WatchPrompts")[1].after_revision == 0, "nothing of the file outlives `synced`"
    await close(second)
    # Another selection, another file's content.
    with pytest.raises(errors.NotSynced):
        ledger.prompt_cache(["a"], file=file).get("a")
    file.write_bytes(b"{}\n")
    with pytest.raises(errors.NotSynced):
        ledger.prompt_cache(file=file).get("a")
    assert "cannot be read" in caplog.text


async def test_a_file_is_of_one_key_and_of_names_in_any_order(
    scripted: Scripted, connect: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scripted.on("WatchPrompts", [*ALL, Hang()], [Hang()])
    file, ledger = tmp_path / "prompts", connect(scripted.url)
    first = ledger.prompt_cache(["a", "b"], file=file)
    await done(first.synced())
    await close(first)
    assert ledger.prompt_cache(["b", "a", "b"], file=file).get("a").number == 1
    # A key may be of another project, without naming it.
    other = connect(scripted.url, api_key="pl_of-another-project")
    with pytest.raises(errors.NotSynced):
        other.prompt_cache(["a", "b"], file=file).get("a")
    assert "another ledger, project, key or selection" in caplog.text


async def test_a_file_stays_where_it_was_named(
    scripted: Scripted, connect: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.on("WatchPrompts", [*ALL, Hang()])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    cache = connect(scripted.url).prompt_cache(file="prompts")
    monkeypatch.chdir(elsewhere)
    await done(cache.synced())
    await close(cache)
    assert (tmp_path / "prompts").exists()
    assert not list(elsewhere.iterdir())


async def test_a_listener_is_told_once_what_has_changed_can_be_read(scripted: Scripted, connect: Any) -> None:
    go = threading.Event()
    broken: list[Any] = [go, prompt_state("a", 0, 1), Refusal(Code.UNAVAILABLE, "DRAINING", 0.01)]
    scripted.on("WatchPrompts", broken, [*ALL, Hang()])
    cache = connect(scripted.url).prompt_cache()
    read: list[str] = []
    cache.on_change(lambda name: read.append(cache.get(name).template))
    go.set()
    await until(lambda: len(read) == 2)
    assert read == ["a 1", "b 5"]


async def test_a_listener_is_told_nothing_that_can_never_be_read(scripted: Scripted, connect: Any) -> None:
    go = threading.Event()
    scripted.on("WatchPrompts", [go, prompt_state("a", 0, 1), Refusal(Code.UNAUTHENTICATED, "KEY_INVALID")])
    cache = connect(scripted.url).prompt_cache()
    told: list[str] = []
    cache.on_change(told.append)
    assert "prompt-ledger-listener" in running()
    go.set()
    with pytest.raises(errors.KeyInvalid):
        await done(cache.synced())
    await until(lambda: "prompt-ledger-listener" not in running())
    assert told == []


async def test_a_listener_that_fails_harms_nobody(scripted: Scripted, connect: Any, caplog: pytest.LogCaptureFixture) -> None:
    go = threading.Event()
    scripted.on("WatchPrompts", [go, *ALL, Hang()])
    cache = connect(scripted.url).prompt_cache()

    def fail(name: str) -> None:
        raise ValueError(name)

    cache.on_change(fail)
    others = asyncio.create_task(changes(cache, 2))
    await asyncio.sleep(0)
    go.set()
    assert await others == ["a", "b"]
    await close(cache)
    await until(lambda: caplog.text.count("a listener of the prompt cache failed") == 2)


async def test_a_slow_listener_delays_nobody_and_is_told_several_changes_as_one(scripted: Scripted, connect: Any) -> None:
    go, told, slow = threading.Event(), threading.Event(), threading.Event()
    states: list[Any] = [prompt_state("a", 8, 2), prompt_state("b", 9, 6), prompt_state("a", 10, 3)]
    scripted.on("WatchPrompts", [*ALL, go, states[0], told, *states[1:], Hang()])
    cache = connect(scripted.url).prompt_cache()
    await done(cache.synced())
    names: list[str] = []

    def listen(name: str) -> Any:
        names.append(name)
        told.set()
        return asyncio.to_thread(slow.wait, 60) if hasattr(cache, "aclose") else slow.wait(60)

    end = cache.on_change(listen)
    go.set()
    await done(cache.reached(10))
    assert cache.get("a").number == 3
    assert names == ["a"], "it still hears of the first one"
    slow.set()
    await until(lambda: len(names) == 3)
    assert names == ["a", "b", "a"]
    end()
    end()


async def test_a_state_that_is_told_again_is_no_change(scripted: Scripted, connect: Any) -> None:
    go = threading.Event()
    scripted.on("WatchPrompts", [*ALL, go, *ALL[:2], prompt_state("c", 8, 1), Hang()])
    cache = connect(scripted.url).prompt_cache()
    await done(cache.synced())
    waiting = asyncio.create_task(changes(cache, 1))
    await asyncio.sleep(0)
    go.set()
    assert await waiting == ["c"]


async def test_a_file_says_when_the_cache_was_current_also_where_the_server_was_away_since(
    scripted: Scripted, connect: Any, tmp_path: Path
) -> None:
    more, aged = threading.Event(), Refusal(Code.UNAVAILABLE, "DRAINING", 3_600)
    scripted.on("WatchPrompts", [*ALL, more, prompt_state("a", 9, 2), aged], [Hang()])
    ledger = connect(scripted.url)
    first = ledger.prompt_cache(file=tmp_path / "prompts")
    await done(first.synced())
    more.set()
    await done(first.reached(9))
    await until(lambda: first.stale_since is not None)
    current_at = first.stale_since
    await close(first)
    second = ledger.prompt_cache(file=tmp_path / "prompts")
    assert abs(second.stale_since - current_at) < timedelta(milliseconds=1)
    assert second.get("a").number == 2


@pytest.mark.parametrize("change", ["all may write it", "its group may write it", "of another user", "a named pipe"])
async def test_a_file_that_another_user_may_have_written_is_not_read_and_is_replaced(
    scripted: Scripted, connect: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    gate = threading.Event()
    scripted.on("WatchPrompts", [*ALL, Hang()], [gate, *ALL, Hang()], [Hang()])
    file, ledger = tmp_path / "prompts", connect(scripted.url)
    first = ledger.prompt_cache(file=file)
    await done(first.synced())
    await close(first)
    match change:
        case "all may write it":
            file.chmod(0o602)
        case "its group may write it":
            file.chmod(0o620)
        case "of another user" if os.geteuid() == 0:
            os.chown(file, 12_345, -1)
        case "of another user":
            pytest.skip("only root gives files away")
        case _:
            file.unlink()
            os.mkfifo(file, 0o600)
    second = ledger.prompt_cache(file=file)
    with pytest.raises(errors.NotSynced):
        second.get("a")
    assert "cannot be read" in caplog.text
    gate.set()
    await done(second.synced())
    await close(second)
    assert ledger.prompt_cache(file=file).get("a").number == 1


async def test_waiting_for_a_cache_ends_with_it(scripted: Scripted, connect: Any) -> None:
    scripted.on("WatchPrompts", [*ALL, Refusal(Code.UNAVAILABLE, "DRAINING", 3_600)])
    cache = connect(scripted.url).prompt_cache()
    await done(cache.synced())
    waiting = asyncio.create_task(
        asyncio.to_thread(cache.reached, 99, None) if hasattr(cache, "close") else cache.reached(99, None)
    )
    await until(lambda: cache.stale_since is not None)
    await close(cache)
    with pytest.raises(errors.ClientClosed):
        await waiting
    with pytest.raises(errors.ClientClosed):
        await done(cache.reached(99, None))


async def test_nothing_runs_on_behind_a_closed_client(scripted: Scripted, connect: Any, tmp_path: Path) -> None:
    scripted.on("WatchPrompts", [*ALL, Hang()], [*ALL, Refusal(Code.UNAVAILABLE, "DRAINING", 3_600)])
    scripted.on("WatchExecution", [Hang()])
    ledger = connect(scripted.url)
    for _ in range(2):
        cache = ledger.prompt_cache(file=tmp_path / "prompts")
        cache.on_change(lambda _name: None)
        await done(cache.synced())
        updates = ledger.watch("e1")
        with pytest.raises(errors.DeadlineExceeded):
            await done(updates.result(timeout=0.1))
    await close(ledger)
    await close(ledger)
    await until(lambda: not running())


async def test_a_state_in_parts_is_applied_whole(scripted: Scripted, connect: Any) -> None:
    first = prompt_state("a", 0, 1, more=True)
    second = prompt_state("a", 0, label="")
    second.change.prompt.active_version_number = 1
    second.change.prompt.labels.add(label="old", version_number=3)
    second.change.labelled_versions.add(version_number=3, template_source="a 3")
    first.change.prompt.CopyFrom(second.change.prompt)
    scripted.on("WatchPrompts", [first, second, synced(4), Hang()])
    cache = connect(scripted.url).prompt_cache()
    await done(cache.synced())
    assert (cache.get("a").number, cache.get("a", "old").template) == (1, "a 3")
