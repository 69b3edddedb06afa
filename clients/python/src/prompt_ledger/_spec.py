"""What to execute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from prompt_ledger import _values as values
from prompt_ledger import proto
from prompt_ledger._values import Json, Seconds

# As the server's defaults: seconds that a provider call may take, and the delays before each retry.
_PROVIDER_TIMEOUT = 120.0
_RETRY_DELAYS = (5.0, 30.0, 120.0)
# For everything but provider calls and delays.
_MARGIN = 10.0
# More than these the server refuses: the deadline grows no more.
_MOST_RETRIES = 1_000


class SpecOptions(TypedDict, total=False):
    """What an execution may be told, beside the prompt and its variables. All of it is optional."""

    version: int
    """The version by its number, instead of the active one."""
    label: str
    """The version that a label points at."""
    checksum_hash: str
    """The version with that content."""
    environment: str
    """For reports: ``dev``, ``staging``, ``prod``. It never selects a version."""
    messages: Sequence[Json | proto.ChatMessage]
    """Ready messages instead of variables; tracking mode only."""
    model: str | Json | proto.ModelRef
    """``provider/model_name``."""
    params: Json | proto.ModelParams
    """Such as ``{"temperature": 0}``; they win over those of the version."""
    tools: Sequence[Json | proto.Tool]
    tool_choice: str | Json | proto.ToolChoice
    response_format: str | Json | proto.ResponseFormat
    without: Sequence[str]
    """What of the version's config to leave out."""
    correlation_id: str
    metadata: Mapping[str, str]
    """Yours, to find executions by."""
    idempotency_key: str
    """Makes the call safe to repeat."""
    retry_failed: bool
    """Whether to execute again where the execution that has the key has failed."""
    timeout: Seconds
    """Bounds each call of the provider."""
    expire_after: Seconds
    """Bounds the whole life of the execution."""
    max_retries: int
    stream_text: bool
    """Whether watchers see the text while the model writes it; always so for ``stream``."""
    min_revision: int
    """The least revision to resolve the prompt at."""
    deadline: Seconds
    """Bounds the call itself, instead of what follows from ``timeout`` and ``max_retries``."""


# Fields of ExecutionSpec that are taken as they are.
_PLAIN = {
    "label",
    "checksum_hash",
    "environment",
    "without",
    "correlation_id",
    "metadata",
    "idempotency_key",
    "retry_failed",
    "max_retries",
    "stream_text",
    "min_revision",
}


def spec(name: str, variables: Json | None, options: SpecOptions) -> proto.ExecutionSpec:
    """The message for these options. Variables are absent where ready messages are sent."""
    fields: dict[str, Any] = {}
    given: Mapping[str, Any] = options
    for each, value in given.items():
        match each:
            case _ if each in _PLAIN:
                fields[each] = value
            case "version":
                fields["version_number"] = value
            case "model":
                fields[each] = values.model(value)
            case "params":
                fields[each] = values.message(proto.ModelParams, value, each)
            case "messages":
                fields[each] = [values.chat_message(item, f"messages[{at}]") for at, item in enumerate(value)]
            case "tools":
                fields[each] = [values.tool(item, f"tools[{at}]") for at, item in enumerate(value)]
            case "tool_choice":
                fields[each] = values.tool_choice(value)
            case "response_format":
                fields[each] = values.response_format(value)
            case "timeout" | "expire_after":
                fields[each] = values.duration(value, each)
            case _:
                raise TypeError(f"{each!r} is no option of an execution")
    selectors = [each for each in ("version_number", "label", "checksum_hash") if each in fields]
    if len(selectors) > 1:
        raise TypeError(f"{' and '.join(selectors)} select a version each: give one of them")
    if variables is not None:
        fields["variables"] = values.struct(variables)
    return proto.ExecutionSpec(prompt_name=name, **fields)


def deadline(spec: proto.ExecutionSpec) -> float:
    """How many seconds a call may take that executes within it: all its attempts, and the delays between them."""
    once = spec.timeout.seconds + spec.timeout.nanos / 1e9 if spec.HasField("timeout") else _PROVIDER_TIMEOUT
    retries = min(max(spec.max_retries, 0), _MOST_RETRIES)
    # Each further retry waits as long as the last of these.
    delays = [*_RETRY_DELAYS, *[_RETRY_DELAYS[-1]] * max(retries - len(_RETRY_DELAYS), 0)]
    return once * (1 + retries) + sum(delays[:retries]) + _MARGIN
