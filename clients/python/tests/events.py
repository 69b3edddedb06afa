"""Messages of streams, in short."""

from __future__ import annotations

from typing import Any

from prompt_ledger import proto

ID = "0190163d-8694-739b-aea5-966c26f8ad91"


def snapshot(through: int, *, reused: bool = False, execution_id: str = ID) -> proto.ExecutionEvent:
    return proto.ExecutionEvent(
        execution_id=execution_id, snapshot=proto.ExecutionSnapshot(through_sequence=through, reused=reused)
    )


def text(attempt: int, offset: int, piece: str) -> proto.ExecutionEvent:
    delta = proto.ExecutionTextDelta(attempt=attempt, offset=offset, text=piece)
    return proto.ExecutionEvent(execution_id=ID, text_delta=delta)


def heartbeat(through: int) -> proto.ExecutionEvent:
    return proto.ExecutionEvent(execution_id=ID, heartbeat=proto.ExecutionHeartbeat(through_sequence=through))


def state(sequence: int, to: str, attempt: int = 1, *, execution_id: str = ID, **fields: Any) -> proto.ExecutionEvent:
    changed = proto.ExecutionStateChanged(to=getattr(proto, f"EXECUTION_STATUS_{to}"), attempt=attempt)
    return proto.ExecutionEvent(execution_id=execution_id, sequence=sequence, state_changed=changed, **fields)


def end(sequence: int, response: str = "", *, to: str = "SUCCEEDED", attempt: int = 1) -> proto.ExecutionEvent:
    event = state(sequence, to, attempt, terminal=True)
    event.state_changed.execution.CopyFrom(execution(to, response))
    return event


def execution(status: str = "SUCCEEDED", response: str = "", **fields: Any) -> proto.Execution:
    number = getattr(proto, f"EXECUTION_STATUS_{status}")
    return proto.Execution(execution_id=ID, prompt_name="greet", status=number, response_text=response, **fields)


def watched(*events: proto.ExecutionEvent) -> list[Any]:
    return [proto.WatchExecutionResponse(event=event) for event in events]


def streamed(*events: proto.ExecutionEvent) -> list[Any]:
    return [proto.StreamExecutionResponse(event=event) for event in events]


def tailed(*events: proto.ExecutionEvent) -> list[Any]:
    return [proto.WatchExecutionsResponse(event=event) for event in events]


def prompt_state(name: str, revision: int, *numbers: int, label: str = "", more: bool = False) -> proto.WatchPromptsResponse:
    """A prompt's state: the first number is the active version, a label points at the last one."""
    versions = [
        proto.PromptVersion(prompt_name=name, version_number=number, template_source=f"{name} {number}") for number in numbers
    ]
    prompt = proto.Prompt(prompt_id=name, name=name, revision=revision)
    change = proto.PromptChange(prompt=prompt, more_follows=more)
    if versions:
        change.prompt.active_version_number = numbers[0]
        change.active_version.CopyFrom(versions[0])
        change.labelled_versions.extend(versions[1:])
    if label:
        change.prompt.labels.add(label=label, version_number=numbers[-1])
    return proto.WatchPromptsResponse(revision=revision, change=change)


def synced(revision: int) -> proto.WatchPromptsResponse:
    return proto.WatchPromptsResponse(revision=revision, synced=proto.PromptsSynced())


def prompts_heartbeat(revision: int, *, behind: bool = False) -> proto.WatchPromptsResponse:
    return proto.WatchPromptsResponse(revision=revision, heartbeat=proto.PromptsHeartbeat(behind=behind))
