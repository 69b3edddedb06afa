"""The silence of streams, with times that are given."""

from __future__ import annotations

from prompt_ledger._steps.silence import Silence


def test_short_waits_do_not_begin_the_silence_anew() -> None:
    silence = Silence(45)
    silence.begins(100)
    assert silence.left(100) == 45
    for second in range(100, 145):
        assert silence.left(second) == 145 - second
        silence.waited(1)
    assert silence.left(145) == 0
    assert silence.left(200) == 0
    silence.begins(200)
    assert silence.left(201) == 44


def test_a_process_that_stood_still_looks_for_a_while_first() -> None:
    silence = Silence(45)
    silence.begins(100)
    assert silence.left(200) == 1
    silence.waited(0.75)
    assert silence.left(300) == 0.25
    silence.waited(0.25)
    assert silence.left(300) == 0


def test_looks_without_waiting_count() -> None:
    silence = Silence(0.5)
    silence.begins(0)
    for _ in range(9):
        silence.waited(0)
    assert silence.left(2) > 0
    silence.waited(0)
    silence.waited(0)
    assert silence.left(0) == 0.5
    assert silence.left(2) == 0
