"""Records: frozen values, read from their messages field by field."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from prompt_ledger import proto
from prompt_ledger.records import Execution, Prompt, PromptChange, PromptVersion, ToolCall

STAMP = Timestamp(seconds=1_767_225_600, nanos=123_456_789)
TIME = datetime(2026, 1, 1, microsecond=123_456, tzinfo=UTC)

VERSION = proto.PromptVersion(
    prompt_name="greet",
    version_number=3,
    status=proto.VERSION_STATUS_ACTIVE,
    template_source="Hello {{name}}",
    template_format=proto.TEMPLATE_FORMAT_HANDLEBARS,
    checksum_hash="4f2a",
    variables=[proto.TemplateVariable(name="name")],
    labels=["production"],
    note="shorter",
    created_by="ada",
    created_at=STAMP,
    execution_count=0,
)
PROMPT = proto.Prompt(
    name="greet",
    mode=proto.PROMPT_MODE_FULL,
    description="says hello",
    owner_team="web",
    tags=["a", "b"],
    active_version_number=3,
    latest_version_number=4,
    labels=[proto.PromptLabel(label="production", version_number=3)],
    etag="e1",
    revision=9,
    archived_at=STAMP,
    created_at=STAMP,
    updated_at=STAMP,
)
EXECUTION = proto.Execution(
    execution_id="id",
    prompt_name="greet",
    version_number=3,
    status=proto.EXECUTION_STATUS_FAILED,
    mode=proto.EXECUTION_MODE_ASYNC,
    response_text="Hello",
    response_tool_calls=[proto.ToolCall(id="c1", name="weather", arguments="{}")],
    finish_reason="stop",
    error_type="timeout",
    error_message="too late",
    cancel_reason="unwanted",
    attempts=2,
    label="production",
    checksum_hash="4f2a",
    correlation_id="c-1",
    idempotency_key="k-1",
    rendered_prompt="Hello Ada",
    prompt_tokens=1,
    response_tokens=2,
    latency_ms=3,
    cost_nano_usd=4,
    created_at=STAMP,
    completed_at=STAMP,
)
CHANGE = proto.PromptChangeEntry(
    prompt_name="greet",
    kind=proto.PROMPT_CHANGE_KIND_LABEL_SET,
    version_number=3,
    label="production",
    from_value="2",
    to_value="3",
    created_by="ada",
    key_name="ci",
    revision=9,
    at=STAMP,
)

READ_VERSION = PromptVersion(
    prompt_name="greet",
    number=3,
    status="active",
    template="Hello {{name}}",
    template_format="handlebars",
    checksum_hash="4f2a",
    variables=("name",),
    labels=("production",),
    note="shorter",
    created_by="ada",
    created_at=TIME,
    execution_count=0,
    raw=VERSION,
)
READ = [
    (lambda: PromptVersion.read(VERSION), READ_VERSION),
    (
        lambda: Prompt.read(PROMPT, VERSION),
        Prompt(
            name="greet",
            mode="full",
            description="says hello",
            owner_team="web",
            tags=("a", "b"),
            active_version=3,
            latest_version=4,
            labels={"production": 3},
            etag="e1",
            revision=9,
            archived_at=TIME,
            created_at=TIME,
            updated_at=TIME,
            version=READ_VERSION,
            raw=PROMPT,
        ),
    ),
    (
        lambda: Execution.read(EXECUTION, reused=True),
        Execution(
            id="id",
            prompt_name="greet",
            version_number=3,
            status="failed",
            mode="async",
            text="Hello",
            tool_calls=(ToolCall("c1", "weather", "{}"),),
            finish_reason="stop",
            error_type="timeout",
            error_message="too late",
            cancel_reason="unwanted",
            attempts=2,
            label="production",
            checksum_hash="4f2a",
            correlation_id="c-1",
            idempotency_key="k-1",
            rendered_prompt="Hello Ada",
            prompt_tokens=1,
            response_tokens=2,
            latency_ms=3,
            cost_nano_usd=4,
            created_at=TIME,
            completed_at=TIME,
            reused=True,
            raw=EXECUTION,
        ),
    ),
    (
        lambda: PromptChange.read(CHANGE),
        PromptChange(
            prompt_name="greet",
            kind="label_set",
            version_number=3,
            label="production",
            from_value="2",
            to_value="3",
            created_by="ada",
            key_name="ci",
            revision=9,
            at=TIME,
            raw=CHANGE,
        ),
    ),
]
each_record = pytest.mark.parametrize(("read", "expected"), READ, ids=[type(expected).__name__ for _, expected in READ])


@each_record
def test_a_record_that_is_read_is_one_that_is_made(read: Any, expected: Any) -> None:
    assert read() == expected
    assert repr(read()) == repr(expected)
    assert dataclasses.asdict(read()) == dataclasses.asdict(expected)
    assert dataclasses.replace(read()) == expected
    assert copy.deepcopy(read()) == expected
    assert pickle.loads(pickle.dumps(read())) == expected
    for field in dataclasses.fields(expected):
        assert getattr(read(), field.name) == getattr(expected, field.name)
    if not isinstance(expected, Prompt):
        assert hash(read()) == hash(expected)


@each_record
def test_a_record_has_its_fields_and_cannot_be_changed(read: Any, expected: Any) -> None:
    record = read()
    for field in dataclasses.fields(record):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, field.name, getattr(expected, field.name))
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(record, field.name)
    with pytest.raises(AttributeError, match=f"'{type(expected).__name__}' object has no attribute 'nmae'"):
        _ = record.nmae
    assert not hasattr(record, "__dict__")


def test_a_field_is_read_once_and_a_message_is_not_needed_again() -> None:
    message = proto.Prompt(name="greet", tags=["a"])
    prompt = Prompt.read(message)
    assert prompt.tags is prompt.tags
    message.tags.append("b")
    assert prompt.tags == ("a",)


def test_type_checkers_know_the_fields() -> None:
    # The comment is refused by mypy where it finds no error.
    with pytest.raises(AttributeError):
        _ = Prompt.read(PROMPT).nmae  # type: ignore[attr-defined]
    match PromptVersion.read(VERSION):
        case PromptVersion("greet", number, template=template):
            assert (number, template) == (3, "Hello {{name}}")
        case _:
            pytest.fail("no match")
