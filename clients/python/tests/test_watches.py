"""Watches, tails and streams, against a server whose streams break."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from typing import Any

import grpc
import pytest

from prompt_ledger import Ended, Joined, Restarted, StateChange, Synced, Text, errors, proto
from prompt_ledger._steps import buffer
from tests.conftest import close, done, following, listed
from tests.events import ID, end, execution, heartbeat, snapshot, state, streamed, tailed, text, watched
from tests.scripted import Hang, Refusal, Scripted

Code = grpc.StatusCode
AGED = Refusal(Code.UNAVAILABLE, "DRAINING", 0.01)


def said(updates: list[Any]) -> list[Any]:
    """Updates in short."""
    short: dict[type, Any] = {
        Text: lambda update: update.text,
        StateChange: lambda update: update.sequence,
        Restarted: lambda update: f"restarted {update.attempt}",
        Joined: lambda update: "joined",
        Ended: lambda update: f"ended {update.execution.status}",
    }
    return [short[type(update)](update) for update in updates]


@pytest.mark.parametrize(
    "broken",
    [
        AGED,
        Refusal(Code.UNAVAILABLE),
        Refusal(Code.ABORTED, "SLOW_CONSUMER"),
        Refusal(Code.INTERNAL),
        Refusal(Code.CANCELLED),
        None,
    ],
    ids=["aged", "unavailable", "slow", "reset", "canceled", "cut"],
)
async def test_a_watch_goes_on_where_its_stream_broke(scripted: Scripted, connect: Any, broken: Any) -> None:
    first = watched(snapshot(2), state(1, "QUEUED", 0), state(2, "RUNNING"), text(1, 0, "one "), text(1, 4, "two "))
    second = watched(snapshot(2), text(1, 0, "one two t"), text(1, 9, "hree"), end(3, "one two three"))
    scripted.on("WatchExecution", [*first, *([broken] if broken else [])], second)
    updates = connect(scripted.url).watch(ID)
    assert said(await listed(updates)) == [1, 2, "one ", "two ", "t", "hree", 3, "ended succeeded"]
    assert (updates.text, updates.execution_id) == ("one two three", ID)
    assert [request.after_sequence for request in scripted.requests("WatchExecution")] == [0, 2]


@pytest.mark.parametrize(
    "last", [*watched(end(2, "hi")), Refusal(Code.NOT_FOUND, "EXECUTION_NOT_FOUND")], ids=["ended", "refused"]
)
async def test_nothing_of_a_stream_is_left_behind_its_end(
    scripted: Scripted, connect: Any, last: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left when the interpreter exits may keep the lock of a call, for which its exit would wait without end."""
    monkeypatch.setattr("prompt_ledger._sync.stream._ENDS_WITHIN", 30.0)
    scripted.on("WatchExecution", [*watched(snapshot(1), state(1, "QUEUED", 0)), last])
    ledger = connect(scripted.url)
    # Those of other tests were given up on earlier.
    for thread in threading.enumerate():
        if thread.name == "prompt-ledger-stream":
            thread.join(60)
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(errors.LedgerError):
            await listed(ledger.watch(ID))
        assert [thread.name for thread in threading.enumerate() if thread.name == "prompt-ledger-stream"] == []
        # What ends a call of a stream is the call itself.
        left = [found for found in gc.get_objects() if isinstance(found, grpc.RpcError) and hasattr(found, "cancel")]
        assert left == []
    finally:
        gc.enable()


async def test_silence_is_a_break(scripted: Scripted, connect: Any) -> None:
    # To connect may take longer than the silence: then nothing of the first stream was heard.
    second = watched(snapshot(2), state(1, "QUEUED", 0), end(2, "hi"))
    scripted.on("WatchExecution", [*watched(snapshot(1), state(1, "QUEUED", 0)), Hang()], second)
    ledger = connect(scripted.url, silence=0.2)
    assert said(await listed(ledger.watch(ID))) == [1, "hi", 2, "ended succeeded"]
    await wait_for(scripted.hung_up)


@pytest.mark.parametrize("timeout", [0.05, 0])
async def test_a_silent_stream_is_left_however_short_each_wait_is(scripted: Scripted, connect: Any, timeout: float) -> None:
    scripted.on("WatchExecution", [*watched(snapshot(1)), Hang()], watched(snapshot(1), end(1, "hi")))
    updates = connect(scripted.url, silence=0.3).watch(ID)
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(errors.DeadlineExceeded):
                assert (await done(updates.result(timeout=timeout))).text == "hi"
                break
            await asyncio.sleep(0.01)
    await wait_for(scripted.hung_up)


async def test_a_refusal_is_final(scripted: Scripted, connect: Any) -> None:
    scripted.on("WatchExecution", Refusal(Code.NOT_FOUND, "EXECUTION_NOT_FOUND"))
    updates = connect(scripted.url).watch(ID)
    with pytest.raises(errors.ExecutionNotFound):
        await following(updates)
    assert await listed(updates) == [], "nothing follows an error"
    assert len(scripted.asked) == 1


async def test_a_watch_gives_up_when_patience_ends(scripted: Scripted, connect: Any) -> None:
    scripted.on("WatchExecution", watched(snapshot(0)))
    with pytest.raises(errors.GaveUp, match="without news"):
        await listed(connect(scripted.url, patience=0.3).watch(ID))
    assert len(scripted.asked) > 1


async def test_a_result_is_waited_for(scripted: Scripted, connect: Any) -> None:
    scripted.on("WatchExecution", watched(snapshot(1), end(1, "hi")))
    assert (await done(connect(scripted.url).handle(ID).result())).text == "hi"


async def test_a_result_is_waited_for_in_time(scripted: Scripted, connect: Any) -> None:
    scripted.on("WatchExecution", [*watched(snapshot(1)), Hang()])
    handle = connect(scripted.url).handle(ID)
    for _ in range(60):
        with pytest.raises(errors.DeadlineExceeded):
            await done(handle.result(timeout=0.2))
        # The time may be over before the server has the call: then another one is made.
        if await asyncio.to_thread(scripted.hung_up.wait, 1):
            break
    assert scripted.hung_up.is_set()


async def test_a_stream_gives_text_and_then_the_result(scripted: Scripted, connect: Any) -> None:
    scripted.on("StreamExecution", streamed(snapshot(1), text(1, 0, "Hello "), text(1, 6, "Ada."), end(1, "Hello Ada.")))
    stream = connect(scripted.url).stream("greet", {"name": "Ada"})
    assert await listed(stream.texts()) == ["Hello ", "Ada."]
    result = await done(stream.result())
    assert (result.text, stream.text) == ("Hello Ada.", "Hello Ada.")


async def test_a_stream_without_a_key_breaks_once_it_has_begun(scripted: Scripted, connect: Any) -> None:
    scripted.on("StreamExecution", AGED, [*streamed(snapshot(1), text(1, 0, "Hello ")), Refusal(Code.UNAVAILABLE)])
    stream = connect(scripted.url).stream("greet")
    assert (await following(stream)).text == "Hello "
    with pytest.raises(errors.NotResumable):
        await following(stream)
    assert len(scripted.asked) == 2, "nothing had begun at the first"


async def test_a_stream_with_a_key_goes_on_as_a_watch(scripted: Scripted, connect: Any) -> None:
    joined = streamed(snapshot(1, reused=True), state(1, "RUNNING"), text(1, 0, "Hello "))
    scripted.on("StreamExecution", Refusal(Code.UNAVAILABLE), [*joined, Refusal(Code.INTERNAL)])
    scripted.on("WatchExecution", watched(snapshot(1), text(1, 0, "Hello Ada."), end(2, "Hello Ada.")))
    stream = connect(scripted.url).stream("greet", idempotency_key="k")
    assert said(await listed(stream)) == ["joined", 1, "Hello ", "Ada.", 2, "ended succeeded"]
    assert [request.spec.idempotency_key for request in scripted.requests("StreamExecution")] == ["k", "k"]
    assert scripted.requests("WatchExecution")[0].after_sequence == 1


async def test_closing_a_stream_hangs_up(scripted: Scripted, connect: Any) -> None:
    scripted.on("StreamExecution", [*streamed(snapshot(1), text(1, 0, "Hello ")), Hang()])
    stream = connect(scripted.url).stream("greet")
    assert (await following(stream)).text == "Hello "
    await close(stream)
    await wait_for(scripted.hung_up)
    assert await listed(stream) == []


async def test_a_stream_of_a_code_prompt(scripted: Scripted, connect: Any) -> None:
    event = end(1, "hi")
    scripted.on("StreamCodePrompt", [proto.StreamCodePromptResponse(event=event)])
    stream = connect(scripted.url, mode="tracking_only").stream("WELCOME")
    assert (await done(stream.result())).text == "hi"


async def test_a_reader_that_is_too_slow_gets_all_of_it_by_another_stream(
    scripted: Scripted, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffer, "_MESSAGES", 4)
    sent = threading.Event()
    states = [state(sequence, "RUNNING", sequence) for sequence in range(1, 9)]
    scripted.on(
        "WatchExecution",
        [*watched(snapshot(8), states[0]), sent, *watched(*states[1:]), Hang()],
        watched(snapshot(8), *states[5:], end(9)),
    )
    updates = connect(scripted.url).watch(ID)
    assert (await following(updates)).sequence == 1
    sent.set()
    # The buffer is full by now, whatever was read of it: the server sees that its client hangs up.
    await wait_for(scripted.hung_up)
    numbers = [update.sequence for update in await listed(updates) if isinstance(update, StateChange)]
    assert numbers == list(range(2, 10))
    assert scripted.requests("WatchExecution")[1].after_sequence == 5


async def test_a_slow_reader_of_a_stream_without_a_key_makes_its_server_wait(
    scripted: Scripted, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffer, "_MESSAGES", 4)
    pieces = [text(1, number, "x") for number in range(50)]
    scripted.on("StreamExecution", streamed(snapshot(1), *pieces, end(1, "x" * 50)))
    stream = connect(scripted.url).stream("greet")
    first = await following(stream)
    assert first.text == "x"
    assert (await done(stream.result())).text == "x" * 50
    assert len(scripted.asked) == 1


async def test_a_tail_tells_each_change_once(scripted: Scripted, connect: Any) -> None:
    found = snapshot(2)
    found.snapshot.execution.CopyFrom(execution("RUNNING"))
    sync = proto.ExecutionEvent(synced=proto.ExecutionsSynced())
    sync.at.seconds = 1_000
    later = state(3, "SUCCEEDED")
    later.at.seconds = 2_000
    scripted.on(
        "WatchExecutions",
        [*tailed(found, sync, later), AGED],
        [*tailed(found, sync, later, state(4, "FAILED")), Hang()],
    )
    tail = connect(scripted.url).tail(prompt_name="greet", statuses=["succeeded", "failed"], full=True)
    told = [await following(tail) for _ in range(4)]
    assert told[0].sequence == 2
    assert told[1] == Synced()
    assert [update.change.sequence for update in told[2:]] == [3, 4]
    await close(tail)
    first, second = scripted.requests("WatchExecutions")
    assert list(first.statuses) == [proto.EXECUTION_STATUS_SUCCEEDED, proto.EXECUTION_STATUS_FAILED]
    assert first.view == proto.EXECUTION_VIEW_FULL
    assert second.since.seconds == 2_000


async def test_closing_the_client_ends_its_watches(scripted: Scripted, connect: Any) -> None:
    scripted.on("WatchExecution", [*watched(snapshot(1), state(1, "QUEUED")), Hang()])
    ledger = connect(scripted.url)
    updates = ledger.watch(ID)
    await following(updates)
    await close(ledger)
    with pytest.raises(errors.ClientClosed):
        await following(updates)


async def test_heartbeats_keep_a_watch_alive(scripted: Scripted, connect: Any) -> None:
    beats = [heartbeat(1) for _ in range(3)]
    scripted.on("WatchExecution", watched(snapshot(1), *beats, end(2, "hi")))
    assert said(await listed(connect(scripted.url).watch(ID, 1))) == ["hi", 2, "ended succeeded"]


async def wait_for(event: threading.Event) -> None:
    """Waits in a thread, so that the event loop goes on."""
    assert await asyncio.to_thread(event.wait, 60)
