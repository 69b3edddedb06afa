"""Messages of the contract from plain values: dictionaries, numbers of seconds, names."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from prompt_ledger import proto
from prompt_ledger.errors import InvalidField

Seconds = float | timedelta
Json = Mapping[str, Any]

# Whole numbers beyond are not exact in a double, which JSON numbers of the contract are.
_LARGEST_EXACT = 2**53

M = TypeVar("M", bound=Message)


def invalid(field: str, problem: str) -> InvalidField:
    """The error that a server would give, for what cannot be sent to one."""
    return InvalidField(f"{field}: {problem}", reason="INVALID_FIELD", fields={field: problem})


def struct(values: Json, field: str = "variables") -> Struct:
    """A JSON object."""
    result = Struct()
    for name, value in values.items():
        if not isinstance(name, str):
            raise invalid(field, f"the key {name!r} is no string")
        result.fields[name].CopyFrom(_value(value, f"{field}.{name}"))
    return result


def _value(value: object, field: str) -> Value:
    match value:
        case None:
            return Value(null_value=cast(Any, 0))
        case bool():
            return Value(bool_value=value)
        case str():
            return Value(string_value=value)
        case int() if abs(value) > _LARGEST_EXACT:
            raise invalid(field, f"{value} is beyond 2^53 and would not be sent exactly: send a string")
        case float() if not math.isfinite(value):
            raise invalid(field, f"{value} is no number of JSON: send a string")
        case int() | float():
            return Value(number_value=value)
        case Mapping():
            return Value(struct_value=struct(value, field))
        case Sequence() if not isinstance(value, (bytes, bytearray)):
            items = (_value(item, f"{field}[{index}]") for index, item in enumerate(value))
            return Value(list_value=ListValue(values=items))
        case _:
            raise invalid(field, f"a {type(value).__name__} is no value of JSON")


def message(kind: type[M], value: M | Json, field: str) -> M:
    """A message from itself, or from a dictionary with the contract's names. ``bytes`` stand as they are."""
    if isinstance(value, kind):
        return value
    try:
        return ParseDict(_encoded(value), kind())
    except (ParseError, TypeError) as error:
        raise invalid(field, str(error)) from None


def _encoded(value: Any) -> Any:
    match value:
        case bytes() | bytearray():
            return base64.b64encode(value).decode()
        case Mapping():
            return {name: _encoded(item) for name, item in value.items()}
        case list() | tuple():
            return [_encoded(item) for item in value]
        case _:
            return value


def seconds(value: Seconds) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def duration(value: Seconds, field: str) -> Duration:
    result = Duration()
    try:
        result.FromTimedelta(value if isinstance(value, timedelta) else timedelta(seconds=value))
    except (ValueError, OverflowError):
        raise invalid(field, f"{value} is no number of seconds that can be sent") from None
    return result


def timestamp(value: datetime) -> Timestamp:
    """A time; one without a zone is local, as everywhere in Python."""
    result = Timestamp()
    result.FromDatetime(value.astimezone())
    return result


def model(value: str | Json | proto.ModelRef) -> proto.ModelRef:
    """A model, also as ``provider/model_name``."""
    if isinstance(value, str):
        provider, slash, name = value.partition("/")
        if not slash:
            raise invalid("model", f"{value!r} is no PROVIDER/MODEL, such as openai/gpt-4o-mini")
        return proto.ModelRef(provider=provider, model_name=name)
    return message(proto.ModelRef, value, "model")


def chat_message(value: Json | proto.ChatMessage, field: str) -> proto.ChatMessage:
    return message(proto.ChatMessage, value, field)


def chat(entries: Sequence[Json | proto.ChatTemplateEntry]) -> proto.ChatTemplate:
    """A chat: messages, and ``{"placeholder": NAME}`` where messages are to be inserted."""
    template = proto.ChatTemplate()
    for index, entry in enumerate(entries):
        is_message = isinstance(entry, Mapping) and "role" in entry
        value = {"message": entry} if is_message else entry
        template.entries.append(message(proto.ChatTemplateEntry, cast(Json, value), f"chat[{index}]"))
    return template


def tool(value: Json | proto.Tool, field: str) -> proto.Tool:
    """A tool; its JSON Schema may stand as a dictionary, ``parameters``, instead of as the text ``parameters_json``."""
    if isinstance(value, Mapping):
        value = _as_text(value, "parameters", "parameters_json")
    return message(proto.Tool, value, field)


def tool_choice(value: str | Json | proto.ToolChoice) -> proto.ToolChoice:
    """``auto``, ``none`` or ``required``, or a whole choice: ``{"name": TOOL, "parallel": False}``."""
    fields = {"mode": value} if isinstance(value, str) else value
    if isinstance(fields, Mapping) and "mode" in fields:
        mode = str(fields["mode"]).upper()
        fields = {**fields, "mode": mode if mode.startswith("TOOL_") else f"TOOL_CHOICE_MODE_{mode}"}
    return message(proto.ToolChoice, fields, "tool_choice")


def response_format(value: str | Json | proto.ResponseFormat) -> proto.ResponseFormat:
    """``json_object``, or ``{"json_schema": {"name": NAME, "schema": SCHEMA}}`` with the schema as a dictionary."""
    if value == "json_object":
        return proto.ResponseFormat(json_object=proto.JsonObject())
    if isinstance(value, Mapping) and isinstance(value.get("json_schema"), Mapping):
        value = {**value, "json_schema": _as_text(value["json_schema"], "schema", "schema_json")}
    if isinstance(value, str):
        raise invalid("response_format", f"{value!r} is neither json_object nor a dictionary")
    return message(proto.ResponseFormat, value, "response_format")


def config(value: Json | proto.VersionConfig) -> proto.VersionConfig:
    """What a content was tuned with: ``model``, ``params``, ``tools``, ``tool_choice``, ``response_format``, ``custom``."""
    if isinstance(value, proto.VersionConfig):
        return value
    result = message(proto.VersionConfig, {k: v for k, v in value.items() if k in ("params", "custom")}, "config")
    for name, part in value.items():
        match name:
            case "params" | "custom":
                pass
            case "model":
                result.model.CopyFrom(model(part))
            case "tools":
                result.tools.extend(tool(each, f"config.tools[{index}]") for index, each in enumerate(part))
            case "tool_choice":
                result.tool_choice.CopyFrom(tool_choice(part))
            case "response_format":
                result.response_format.CopyFrom(response_format(part))
            case _:
                raise invalid(f"config.{name}", "no field of a config")
    return result


def _as_text(value: Json, name: str, text_name: str) -> Json:
    """The fields of a message with a JSON value turned into the text of another field, in the order written."""
    if name not in value:
        return value
    return {**{key: item for key, item in value.items() if key != name}, text_name: json.dumps(value[name])}


def enum(kind: Any, prefix: str, value: str) -> Any:
    """The number of an enum's value, by its word: ``full`` for ``PROMPT_MODE_FULL``."""
    name = value.upper()
    try:
        return kind.Value(name if name.startswith(prefix) else f"{prefix}{name}")
    except ValueError:
        known = ", ".join(each.removeprefix(prefix).lower() for each in kind.keys()[1:])
        raise invalid(prefix.rstrip("_").lower(), f"{value!r} is none of {known}") from None
