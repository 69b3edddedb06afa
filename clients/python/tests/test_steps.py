"""The steps without I/O: how they decide, as tables."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import grpc
import pytest

from prompt_ledger import errors, proto
from prompt_ledger._status import class_of
from prompt_ledger._steps.follower import Follower
from prompt_ledger._steps.machine import OVER, READ, Machine, Reader, StreamCall, Taken
from prompt_ledger._steps.prompt_reader import Behind, Current, Only, PromptReader, Put, Reached
from prompt_ledger._steps.retry import Attempts, Broken, Moment, RetryWindow, Verdict, last, of_call, of_stream
from prompt_ledger._steps.tailer import _APART, Tailer, _SeenExecutions
from prompt_ledger.updates import Ended, Restarted, Text
from tests.events import ID, end, execution, heartbeat, prompt_state, prompts_heartbeat, snapshot, state, synced, text

Code = grpc.StatusCode


def failure(code: grpc.StatusCode, reason: str = "", retry: float | None = None) -> errors.LedgerError:
    return class_of(reason, code)("said so", code=code, reason=reason, retry_after=retry)


class TestRetry:
    @pytest.mark.parametrize(
        ("broken", "verdict"),
        [
            (failure(Code.UNAVAILABLE, "DRAINING", 1), Verdict(True, 1)),
            (failure(Code.UNAVAILABLE, "STORE_UNAVAILABLE"), Verdict(True)),
            (failure(Code.UNAVAILABLE), Verdict(True)),
            (failure(Code.ABORTED, "SLOW_CONSUMER"), Verdict(True)),
            (failure(Code.UNKNOWN), Verdict(True)),
            (failure(Code.INTERNAL), Verdict(True)),
            (failure(Code.CANCELLED), Verdict(True)),
            (Broken.CUT, Verdict(True)),
            (Broken.SILENT, Verdict(True)),
            (Broken.GAP, Verdict(True)),
            (failure(Code.INTERNAL, "INTERNAL"), Verdict(False)),
            (failure(Code.ABORTED, "ETAG_MISMATCH"), Verdict(False)),
            (failure(Code.NOT_FOUND, "EXECUTION_NOT_FOUND"), Verdict(False)),
            (failure(Code.OUT_OF_RANGE, "SEQUENCE_AHEAD"), Verdict(False)),
            (failure(Code.UNAUTHENTICATED, "KEY_INVALID"), Verdict(False)),
            (failure(Code.RESOURCE_EXHAUSTED, "TOO_MANY_WATCHERS", 1), Verdict(False)),
            (failure(Code.UNIMPLEMENTED), Verdict(False)),
        ],
        ids=str,
    )
    def test_what_may_pass_is_tried_again_and_what_may_not_is_final(self, broken: Any, verdict: Verdict) -> None:
        assert of_stream(broken) == verdict

    def test_delays_grow_to_five_seconds_with_jitter(self) -> None:
        def delays(chance: float) -> list[float]:
            window = RetryWindow(1e9)
            return [window.delay(Verdict(True), Moment(0, chance)) or 0 for _ in range(40)]

        assert delays(1)[:8] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]
        assert delays(0)[:3] == [0.05, 0.1, 0.2]
        assert delays(1)[39] == 5

    @pytest.mark.parametrize(("asked", "chance", "delay"), [(1, 0, 1), (1, 1, 1.2), (1e9, 0, 3_600)])
    def test_the_delay_that_a_server_asks_for_is_kept_to_and_spread(self, asked: float, chance: float, delay: float) -> None:
        assert RetryWindow(1e9).delay(Verdict(True, asked), Moment(0, chance)) == delay

    def test_patience_ends_a_while_after_the_last_progress(self) -> None:
        window = RetryWindow(60)
        again = Verdict(True)
        window.failed(Broken.CUT, again, Moment(100, 1))
        window.failed(Broken.CUT, again, Moment(159, 1))
        window.progressed()
        assert window.failed(Broken.CUT, again, Moment(200, 1)) == 0.1
        window.failed(Broken.CUT, again, Moment(259, 1))
        with pytest.raises(errors.GaveUp, match="gave up after 60 s without news: the server said nothing"):
            window.failed(Broken.SILENT, again, Moment(260, 1))

    def test_the_last_error_says_what_happened(self) -> None:
        for broken in (Broken.CUT, Broken.GAP, failure(Code.UNAVAILABLE)):
            assert isinstance(last(broken), errors.NotResumable)
        refused = failure(Code.NOT_FOUND, "PROMPT_NOT_FOUND")
        assert last(refused) is refused

    def test_what_costs_is_repeated_only_where_nothing_began(self) -> None:
        for code, reason, freely, otherwise in [
            (Code.UNAVAILABLE, "DRAINING", True, True),
            (Code.RESOURCE_EXHAUSTED, "OVERLOADED", True, True),
            (Code.UNAVAILABLE, "STORE_UNAVAILABLE", True, False),
            (Code.UNAVAILABLE, "", True, False),
            (Code.INTERNAL, "", True, False),
            (Code.ABORTED, "SLOW_CONSUMER", False, False),
            (Code.DEADLINE_EXCEEDED, "", False, False),
            (Code.RESOURCE_EXHAUSTED, "TOO_LARGE", False, False),
        ]:
            error = failure(code, reason)
            assert (of_call(error, freely=True).again, of_call(error, freely=False).again) == (freely, otherwise), error
        limited = failure(Code.RESOURCE_EXHAUSTED, "RATE_LIMITED", 2)
        assert of_call(limited, freely=True) == Verdict(True, 2)

    def test_the_deadline_bounds_all_attempts_together(self) -> None:
        attempts = Attempts(30, began=100, freely=True)
        assert attempts.left(100) == pytest.approx(30, rel=0.01)
        away = failure(Code.UNAVAILABLE)
        assert attempts.delay(away, Moment(100, 1)) == 0.1
        assert attempts.left(120) == pytest.approx(10, rel=0.01)
        assert attempts.delay(away, Moment(129.9, 1)) is None
        assert attempts.delay(failure(Code.UNAVAILABLE, "DRAINING", 60), Moment(101, 0)) is None
        assert attempts.left(131) == 0


class _Scripted(Reader[proto.ExecutionEvent, int]):
    """Answers by the event's sequence; 1 and 2 are an end."""

    def __init__(self, *, resumes: bool = True) -> None:
        self._resumes = resumes

    def ask(self) -> StreamCall[proto.ExecutionEvent]:
        raise NotImplementedError

    @property
    def resumes(self) -> bool:
        return self._resumes

    def take(self, message: proto.ExecutionEvent, updates: deque[int]) -> Taken:
        updates.append(message.sequence)
        return {0: Taken.NOTHING, 1: Taken.OVER, 2: Taken.UNREADABLE, 3: Taken.GAP}.get(message.sequence, Taken.NEWS)


def at(seconds: float) -> Moment:
    return Moment(seconds, 1.0)


class TestMachine:
    def test_each_event_says_what_to_do_next(self) -> None:
        machine = Machine(_Scripted(), 60)
        machine.opened()
        assert [machine.took(state(sequence, "RUNNING"), at(0)) for sequence in (0, 4)] == [READ, READ]
        assert machine.took(state(3, "RUNNING"), at(0)).delay == 0.1
        assert machine.took(state(1, "RUNNING"), at(0)) == OVER
        with pytest.raises(errors.Unreadable):
            machine.took(state(2, "RUNNING"), at(0))
        assert list(machine.updates) == [0, 4, 3, 1, 2]

    def test_news_renew_the_patience_and_a_snapshot_alone_does_not(self) -> None:
        machine = Machine(_Scripted(), 60)
        for second in (0, 30):
            machine.opened()
            machine.took(state(0, "RUNNING"), at(second))
            machine.failed(Broken.CUT, at(second))
        machine.took(state(4, "RUNNING"), at(50))
        machine.failed(Broken.CUT, at(61))
        machine.took(state(0, "RUNNING"), at(62))
        with pytest.raises(errors.GaveUp):
            machine.failed(Broken.CUT, at(121))

    def test_streams_that_reach_their_age_with_nothing_to_tell_are_no_failures(self) -> None:
        machine, aged = Machine(_Scripted(), 60), failure(Code.UNAVAILABLE, "DRAINING", 1)
        for second in range(1_000):
            machine.opened()
            machine.took(state(0, "RUNNING"), at(second))
            machine.failed(aged, at(second))
        # But one that has not begun is.
        machine.failed(aged, at(1_000))
        with pytest.raises(errors.GaveUp):
            machine.failed(aged, at(1_060))

    def test_what_cannot_be_gone_on_with_ends_at_the_first_failure(self) -> None:
        machine = Machine(_Scripted(resumes=False), 60)
        with pytest.raises(errors.NotResumable):
            machine.failed(Broken.CUT, at(0))


class Followed:
    """What a follower makes of events."""

    def __init__(self, cursor: int = 0) -> None:
        self.follower = Follower(ID, cursor)

    def take(self, *events: proto.ExecutionEvent) -> tuple[Taken, list[Any]]:
        updates: deque[Any] = deque()
        taken = Taken.NOTHING
        for event in events:
            taken = self.follower.take(event, updates)
        return taken, list(updates)

    @property
    def cursor(self) -> int:
        return int(self.follower.ask().request.after_sequence)


def texts(updates: list[Any]) -> list[str]:
    return [update.text for update in updates if isinstance(update, Text)]


class TestFollower:
    def test_the_cursor_moves_with_every_kind_but_a_snapshot(self) -> None:
        unknown = proto.ExecutionEvent(execution_id=ID, sequence=2)
        for events, cursor in [
            ([snapshot(9)], 0),
            ([state(1, "QUEUED")], 1),
            ([state(1, "QUEUED"), unknown], 2),
            ([heartbeat(5)], 5),
            ([heartbeat(5), heartbeat(3)], 5),
            ([text(1, 0, "x")], 0),
        ]:
            followed = Followed()
            followed.take(*events)
            assert followed.cursor == cursor, events

    def test_a_gap_breaks_the_stream(self) -> None:
        assert Followed().take(state(2, "RUNNING"))[0] is Taken.GAP
        assert Followed().take(text(1, 3, "x"))[0] is Taken.GAP
        assert Followed(2).take(state(3, "RUNNING"))[0] is Taken.NEWS
        assert Followed(2).take(state(2, "RUNNING")) == (Taken.NOTHING, [])

    def test_text_that_comes_again_is_passed_on_once(self) -> None:
        followed = Followed()
        _, updates = followed.take(text(1, 0, "häl"), text(1, 0, "häll"), text(1, 5, "o"), text(1, 2, "x"))
        assert texts(updates) == ["häl", "l", "o"]
        # Within a character: the texts differ.
        assert Followed().take(text(1, 0, "a"), text(1, 0, "ä"))[0] is Taken.GAP

    def test_another_attempt_restarts_the_text(self) -> None:
        followed = Followed()
        _, updates = followed.take(text(1, 0, "one"), text(2, 0, "two"), text(1, 3, "late"))
        assert texts(updates) == ["one", "two"]
        assert Restarted(2) in updates
        assert Restarted(2) not in Followed().take(text(2, 0, "two"))[1], "nothing was given before"

    @pytest.mark.parametrize(
        ("before", "response", "attempt", "restarts", "last_text"),
        [
            ([], "all of it", 1, False, ["all of it"]),
            (["all "], "all of it", 1, False, ["all ", "of it"]),
            (["all of it"], "all of it", 1, False, ["all of it"]),
            (["other"], "all of it", 1, True, ["other", "all of it"]),
            (["all of it, and more"], "all of it", 1, True, ["all of it, and more", "all of it"]),
            (["all "], "all of it", 2, True, ["all ", "all of it"]),
            (["part"], "", 1, False, ["part"]),
        ],
    )
    def test_at_the_end_the_text_is_the_response(
        self, before: list[str], response: str, attempt: int, restarts: bool, last_text: list[str]
    ) -> None:
        taken, updates = Followed().take(*(text(1, 0, piece) for piece in before), end(1, response, attempt=attempt))
        assert taken is Taken.OVER
        assert texts(updates) == last_text
        assert any(isinstance(update, Restarted) for update in updates) is restarts
        assert isinstance(updates[-1], Ended)

    def test_an_end_that_came_before_is_an_end(self) -> None:
        taken, updates = Followed(3).take(end(3, "hi"))
        assert (taken, [type(update) for update in updates]) == (Taken.OVER, [Text, Ended])

    def test_an_end_without_its_execution_cannot_be_read(self) -> None:
        assert Followed().take(state(1, "SUCCEEDED", terminal=True))[0] is Taken.UNREADABLE

    def test_what_it_asks_for(self) -> None:
        spec = proto.ExecutionSpec(prompt_name="greet")
        follower = Follower(spec=spec)
        assert (follower.ask().method, follower.resumes) == ("StreamExecution", False)
        assert Follower(spec=spec, tracking=True).ask().method == "StreamCodePrompt"
        keyed = Follower(spec=proto.ExecutionSpec(idempotency_key="k"))
        assert keyed.resumes
        keyed.take(state(1, "RUNNING"), deque())
        assert (keyed.ask().method, keyed.ask().request.execution_id) == ("WatchExecution", ID)


class TestTailer:
    def test_what_was_seen_is_dropped_also_out_of_order(self) -> None:
        seen = _SeenExecutions(10)
        assert seen.through("a", 3)
        assert not seen.through("a", 3)
        assert [seen.one("a", sequence) for sequence in (3, 5, 4, 5, 6)] == [False, True, True, False, True]
        assert not seen.through("a", 5)
        assert seen.through("b", 0), "an execution that is not known is told"

    def test_memory_is_bounded(self) -> None:
        seen = _SeenExecutions(2)
        for name in "abcde":
            seen.one(name, 1)
        assert len(seen._now) + len(seen._before) <= 4
        assert not seen.one("e", 1)
        for sequence in range(2, 1_000, 2):
            seen.one("far", sequence)
        assert len(seen._now["far"].apart) <= _APART + 1

    def test_since_moves_only_on_a_stream_that_is_synced_and_never_back(self) -> None:
        def event(seconds: int, sequence: int = 0) -> proto.ExecutionEvent:
            made = state(sequence, "RUNNING") if sequence else proto.ExecutionEvent(synced=proto.ExecutionsSynced())
            made.at.seconds = seconds
            return made

        tailer = Tailer(proto.WatchExecutionsRequest(prompt_name="greet"))
        updates: deque[Any] = deque()
        tailer.begins()
        tailer.take(event(10, 1), updates)
        assert not tailer.ask().request.HasField("since")
        tailer.take(event(30), updates)
        assert tailer.ask().request.since.seconds == 10
        tailer.take(event(20, 2), updates)
        assert tailer.ask().request.since.seconds == 20
        tailer.begins()
        tailer.take(event(40, 3), updates)
        assert tailer.ask().request.since.seconds == 20


class TestPromptReader:
    def take(self, reader: PromptReader, *messages: proto.WatchPromptsResponse) -> list[Any]:
        updates: deque[Any] = deque()
        for message in messages:
            assert reader.take(message, updates) in {Taken.NEWS, Taken.NOTHING}
        return list(updates)

    def test_from_zero_everything_is_told_and_then_synced(self) -> None:
        reader = PromptReader((), "", 0)
        reader.begins()
        a, b = prompt_state("a", 0, 1), prompt_state("b", 0, 2)
        updates = self.take(reader, a, prompts_heartbeat(0), b, synced(7))
        assert updates == [Put(a.change), Put(b.change), Only(frozenset("ab")), Reached(7), Current()]
        assert self.take(reader, prompts_heartbeat(7), prompt_state("c", 9)) == [
            Current(),
            Put(prompt_state("c", 9).change),
            Reached(9),
        ]
        assert reader.ask().request.after_revision == 9

    def test_a_resumed_stream_is_current_at_its_first_heartbeat(self) -> None:
        reader = PromptReader((), "", 5)
        reader.begins()
        assert Current() not in self.take(reader, prompt_state("a", 6, 1))
        assert self.take(reader, prompts_heartbeat(6)) == [Current()]

    def test_parts_of_a_state_are_put_together_and_dropped_with_their_stream(self) -> None:
        reader = PromptReader((), "", 5)
        reader.begins()
        first, second = prompt_state("a", 0, 1, more=True), prompt_state("a", 6)
        second.change.labelled_versions.add(version_number=3)
        assert self.take(reader, first, prompts_heartbeat(5)) == []
        [put, reached] = self.take(reader, second)
        assert [version.version_number for version in put.state.labelled_versions] == [3]
        assert put.state.active_version.version_number == 1
        assert reached == Reached(6)
        self.take(reader, prompt_state("a", 0, 1, more=True))
        reader.begins()
        [put, _] = self.take(reader, prompt_state("a", 8))
        assert not put.state.HasField("active_version")

    def test_only_what_comes_further_or_is_current_is_progress(self) -> None:
        reader, updates = PromptReader((), "", 0), deque[Any]()
        reader.begins()
        for message, taken in [
            (prompt_state("a", 0, 1), Taken.NOTHING),
            (prompts_heartbeat(0), Taken.NOTHING),
            (synced(5), Taken.NEWS),
            (prompts_heartbeat(5, behind=True), Taken.NOTHING),
            (prompt_state("a", 6, 2), Taken.NEWS),
            (prompts_heartbeat(6), Taken.NEWS),
        ]:
            assert reader.take(message, updates) is taken, message

    def test_how_it_breaks(self) -> None:
        for cursor, code, reason, recovers, after in [
            (5, Code.OUT_OF_RANGE, "REVISION_AHEAD", True, 0),
            (5, Code.OUT_OF_RANGE, "EVENTS_COMPACTED", True, 0),
            (0, Code.OUT_OF_RANGE, "REVISION_AHEAD", False, 0),
            (5, Code.RESOURCE_EXHAUSTED, "TOO_MANY_WATCHERS", True, 5),
            (5, Code.INTERNAL, "INTERNAL", True, 5),
            (5, Code.UNIMPLEMENTED, "", True, 5),
            (5, Code.UNAVAILABLE, "DRAINING", False, 5),
            (5, Code.UNAUTHENTICATED, "KEY_INVALID", False, 5),
        ]:
            reader, updates = PromptReader((), "", cursor), deque[Any]()
            assert reader.broke(failure(code, reason), updates) is recovers, reason
            assert list(updates) == [Behind(), *([Reached(0)] if after < cursor else [])]
            assert reader.ask().request.after_revision == after


@pytest.mark.parametrize("asked", [0.0, -1.0, -1e30, 1e-9])
def test_a_server_that_asks_for_no_delay_is_not_asked_without_one(asked: float) -> None:
    delay = RetryWindow(math.inf).delay(Verdict(again=True, asked=asked), Moment(0, 0))
    assert delay == pytest.approx(0.1)


def test_the_execution_of_an_event_is_read() -> None:
    assert execution("CANCELED").status == proto.EXECUTION_STATUS_CANCELED
