"""Messages from plain values, and values from messages."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import grpc
import pytest

from prompt_ledger import _calls, _spec, _values, errors, proto
from prompt_ledger._ids import uuid7
from prompt_ledger._status import class_of
from prompt_ledger.errors import InvalidField
from prompt_ledger.records import Execution, Prompt, PromptVersion, as_dict, status_word


def test_variables_are_json() -> None:
    given = {"s": "ä", "i": 3, "f": 1.5, "b": True, "n": None, "l": [1, ("x",), {}], "o": {"k": [None]}}
    assert as_dict(_values.struct(given)) == {**given, "l": [1, ["x"], {}]}


@pytest.mark.parametrize(
    ("variables", "field"),
    [
        ({"n": 2**53 + 1}, "variables.n"),
        ({"n": float("nan")}, "variables.n"),
        ({"l": [{"x": float("inf")}]}, "variables.l[0].x"),
        ({"o": {1: 2}}, "variables.o"),
        ({"d": datetime.now(UTC)}, "variables.d"),
        ({"b": b"bytes"}, "variables.b"),
    ],
)
def test_what_json_does_not_have_is_refused_by_its_path(variables: Any, field: str) -> None:
    with pytest.raises(InvalidField) as caught:
        _values.struct(variables)
    assert list(caught.value.fields) == [field]
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert _values.struct({"n": 2**53})["n"] == 2**53


def test_a_spec_is_made_of_options() -> None:
    spec = _spec.spec(
        "greet",
        {"name": "Ada"},
        {
            "version": 3,
            "model": "openai/gpt-4o-mini",
            "params": {"temperature": 0, "stop": {"values": ["."]}, "extra": {"top_a": 1}},
            "tools": [{"name": "weather", "parameters": {"type": "object", "properties": {"b": {}, "a": {}}}}],
            "tool_choice": "required",
            "response_format": {"json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True}},
            "timeout": 2.5,
            "expire_after": timedelta(minutes=1),
            "metadata": {"user": "u-17"},
            "without": ["params.seed"],
            "stream_text": False,
        },
    )
    assert as_dict(spec) == {
        "prompt_name": "greet",
        "version_number": 3,
        "variables": {"name": "Ada"},
        "model": {"provider": "openai", "model_name": "gpt-4o-mini"},
        "params": {"temperature": 0.0, "stop": {"values": ["."]}, "extra": {"top_a": 1.0}},
        "tools": [{"name": "weather", "parameters_json": '{"type": "object", "properties": {"b": {}, "a": {}}}'}],
        "tool_choice": {"mode": "TOOL_CHOICE_MODE_REQUIRED"},
        "response_format": {"json_schema": {"name": "answer", "schema_json": '{"type": "object"}', "strict": True}},
        "timeout": "2.500s",
        "expire_after": "60s",
        "metadata": {"user": "u-17"},
        "without": ["params.seed"],
        "stream_text": False,
    }
    assert not _spec.spec("greet", None, {"messages": [{"role": "user", "content": "Hi"}]}).HasField("variables")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"version": 1, "label": "production"}, "version_number and label"),
        ({"versoin": 1}, "'versoin' is no option"),
        ({"model": "gpt-4o"}, "is no PROVIDER/MODEL"),
        ({"params": {"temprature": 1}}, "params"),
        ({"tool_choice": "perhaps"}, "tool_choice"),
        ({"response_format": "yaml"}, "neither json_object"),
        ({"messages": [{"role": "user", "text": "Hi"}]}, r"messages\[0\]"),
    ],
)
def test_options_that_are_none_are_named(options: Any, problem: str) -> None:
    with pytest.raises((TypeError, InvalidField), match=problem):
        _spec.spec("greet", None, options)


def test_images_are_bytes_and_choices_are_short() -> None:
    part = {"image": {"data": b"\x89PNG", "media_type": "image/png"}}
    message = _values.chat_message({"role": "user", "parts": [part]}, "messages[0]")
    assert message.parts[0].image.data == b"\x89PNG"
    assert _values.tool_choice({"name": "weather", "parallel": False}).name == "weather"
    assert _values.response_format("json_object").WhichOneof("format") == "json_object"
    assert _values.message(proto.ChatMessage, message, "m") is message


@pytest.mark.parametrize(
    ("retries", "timeout", "deadline"),
    [
        (0, None, 130),
        (1, None, 255),
        (3, 2, 8 + 155 + 10),
        (5, 1, 6 + 395 + 10),
        (2**31 - 1, None, 1_001 * 120 + 35 + 998 * 120 + 10),
    ],
)
def test_a_run_may_take_all_its_attempts(retries: int, timeout: int | None, deadline: float) -> None:
    options: Any = {"max_retries": retries, **({"timeout": timeout} if timeout else {})}
    assert _spec.deadline(_spec.spec("greet", None, options)) == deadline


def test_a_chat_goes_there_and_back() -> None:
    chat = [{"role": "system", "content": "Be exact."}, {"placeholder": "history"}, {"role": "user", "content": "{{q}}"}]
    config = {"model": "echo/echo", "params": {"temperature": 0.5}, "custom": {"owner": "ada"}, "tools": [{"name": "t"}]}
    call = _calls.put("ask", None, {"chat": chat, "config": config, "tags": ["a"], "labels": ["production"]})
    request = call.request
    version = PromptVersion.read(proto.PromptVersion(chat_template=request.chat_template, config=request.config))
    assert (version.chat, version.template) == (chat, "")
    assert version.config == {**config, "model": {"provider": "echo", "model_name": "echo"}}
    assert list(request.tags.values) == ["a"]
    with pytest.raises(TypeError, match="either a template or a chat"):
        _calls.put("ask", "text", {"chat": chat})
    with pytest.raises(InvalidField, match="no field of a config"):
        _calls.put("ask", "text", {"config": {"modle": "x"}})
    with pytest.raises(InvalidField, match="tool_choice"):
        _calls.put("ask", "text", {"config": {"tool_choice": 3}})


def test_words_of_enums_are_open() -> None:
    assert status_word(proto.EXECUTION_STATUS_SUCCEEDED) == "succeeded"
    assert (status_word(0), status_word(77)) == ("", "77")
    assert Execution.read(proto.Execution.FromString(b"\x48\x4d")).status == "77"
    with pytest.raises(InvalidField, match="none of queued, running"):
        _calls.list_executions({"statuses": ["done"]})


def test_filters_of_lists() -> None:
    since = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    pages = _calls.list_executions(
        {"start_time": since, "full": True, "version": 2, "model": "echo/echo", "mode": "async", "statuses": ["failed"]}
    )
    assert as_dict(pages("next").request) == {
        "version_number": 2,
        "statuses": ["EXECUTION_STATUS_FAILED"],
        "start_time": "2025-12-31T23:00:00Z",
        "view": "EXECUTION_VIEW_FULL",
        "page_token": "next",
        "model": {"provider": "echo", "model_name": "echo"},
        "mode": "EXECUTION_MODE_ASYNC",
    }


def test_absent_is_none() -> None:
    prompt = Prompt.read(proto.Prompt(name="greet", labels=[proto.PromptLabel(label="production", version_number=2)]))
    assert (prompt.active_version, prompt.archived_at, prompt.version, prompt.labels) == (None, None, None, {"production": 2})
    execution = Execution.read(proto.Execution(cost_nano_usd=0))
    assert (execution.cost_nano_usd, execution.latency_ms, execution.completed_at) == (0, None, None)


def test_ids_are_new_and_sorted_by_time() -> None:
    ids = [uuid7() for _ in range(1_000)]
    assert len(set(ids)) == len(ids)
    assert {uuid.UUID(each).version for each in ids} == {7}
    assert {uuid.UUID(each).variant for each in ids} == {uuid.RFC_4122}
    times = [each[:13] for each in ids]
    assert times == sorted(times)


def test_every_reason_of_the_contract_has_a_class() -> None:
    for name, number in proto.ErrorReason.items():
        reason = name.removeprefix("ERROR_REASON_")
        if number:
            found = class_of(reason, grpc.StatusCode.OK)
            assert found.__name__ == "".join(word.capitalize() for word in reason.split("_"))
    for code in grpc.StatusCode:
        if code is not grpc.StatusCode.OK:
            found = class_of("TEAPOT", code)
            assert found.code is code, code
    assert class_of("GAVE_UP", grpc.StatusCode.INTERNAL) is errors.Internal, "no server gives up"


def test_reasons_have_the_codes_of_the_contract() -> None:
    contract = Path(__file__).parents[3] / "proto" / "promptledger" / "v1" / "error_reason.proto"
    # Each value's comment begins with its code.
    found = re.findall(r"^  // ([A-Z_]+)\. .*\n(?:  //.*\n)*  ERROR_REASON_(\w+) = ", contract.read_text(), re.MULTILINE)
    assert len(found) == len(proto.ErrorReason.keys()) - 1
    for code, reason in found:
        assert class_of(reason, grpc.StatusCode.UNKNOWN).code.name == code, reason
