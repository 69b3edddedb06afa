"""The driver of the conformance suite: does what a scenario says, and prints what its user saw.

``clients/conformance/README.md`` is its protocol. ``--asyncio`` does all of it with the client for asyncio.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import prompt_ledger
from prompt_ledger import Changed, Ended, Found, Joined, LedgerError, Restarted, StateChange, Synced, Text, aio
from prompt_ledger.errors import ClientError, ExecutionFailed, InvalidOptions, NotSynced, VariablesMissing
from prompt_ledger.records import Execution, Prompt, PromptVersion

Json = dict[str, Any]

# How long `cache.until` and `cache.stale` wait, and how often they look, in seconds.
_UNTIL = 60.0
_OFTEN = 0.005


async def done(value: Any) -> Any:
    """A value of either client."""
    return await value if inspect.isawaitable(value) else value


async def each(values: Any) -> AsyncIterator[Any]:
    """The items of an iterator of either client."""
    if isinstance(values, AsyncIterator):
        async for value in values:
            yield value
    else:
        for value in values:
            yield value


def chosen(step: Json, *names: str) -> Json:
    """Those arguments of a step that are given."""
    return {name: step[name] for name in names if step.get(name) is not None}


def seconds(text: str) -> float:
    """A duration of protobuf's JSON form."""
    return float(text.removesuffix("s"))


def spec_options(spec: Json) -> Json:
    """The options of a spec, as a user gives them; with its prompt and variables."""
    options = dict(spec)
    options["prompt"] = options.pop("prompt_name", "")
    if "version_number" in options:
        options["version"] = options.pop("version_number")
    for name in ("timeout", "expire_after"):
        if name in options:
            options[name] = seconds(options[name])
    if "min_revision" in options:
        options["min_revision"] = int(options["min_revision"])
    return options


def put_options(request: Json) -> Json:
    options = dict(request)
    if "template_source" in options:
        options["template"] = options.pop("template_source")
    if "chat_template" in options:
        options["chat"] = options.pop("chat_template")["entries"]
    if "tags" in options:
        options["tags"] = options["tags"].get("values", [])
    return options


def tail_options(request: Json) -> Json:
    options = dict(request)
    if "since" in options:
        options["since"] = datetime.fromisoformat(options["since"])
    if "view" in options:
        options["full"] = options.pop("view") == "EXECUTION_VIEW_FULL"
    return options


def word(text: str) -> str | None:
    return text.upper() or None


def execution(found: Execution) -> Json:
    names = ("prompt_name", "version_number", "checksum_hash", "label", "text", "finish_reason", "error_type")
    more = ("error_message", "attempts", "cancel_reason", "correlation_id", "idempotency_key", "rendered_prompt", "reused")
    return {
        "execution_id": found.id,
        "status": word(found.status),
        "mode": word(found.mode),
        "tool_calls": [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in found.tool_calls],
        **{name: getattr(found, name) for name in (*names, *more)},
    }


def prompt(found: Prompt) -> Json:
    version = found.version
    return {
        "name": found.name,
        "mode": word(found.mode),
        "description": found.description,
        "owner_team": found.owner_team,
        "tags": found.tags,
        "active_version": found.active_version,
        "latest_version": found.latest_version,
        "labels": found.labels,
        "archived": found.archived_at is not None,
        "template": version.template if version else None,
        "checksum_hash": version.checksum_hash if version else None,
    }


def version(found: PromptVersion) -> Json:
    names = ("template", "checksum_hash", "labels", "execution_count")
    return {
        "version": found.number,
        "status": word(found.status),
        **{name: getattr(found, name) for name in names},
    }


def error(failure: LedgerError) -> Json:
    more: Json
    if isinstance(failure, ExecutionFailed):
        failed = failure.execution
        more = {"execution_id": failed.id, "status": word(failed.status), "error_type": failed.error_type}
    else:
        more = {
            "code": None if isinstance(failure, ClientError) else failure.code.name,
            "reason": failure.reason,
            "fields": failure.fields,
            "metadata": failure.metadata,
            "retry_after": failure.retry_after,
        }
    if isinstance(failure, VariablesMissing):
        more["missing"] = failure.missing
    return {"saw": "error", "class": type(failure).__name__, "message": failure.message, **more}


class Driver:
    """The scenario's client, and what its steps have begun."""

    def __init__(self, ledger: Any) -> None:
        self.ledger = ledger
        self.begun: dict[str, Any] = {}
        self.step = 0
        self._steps: dict[str, Callable[[Json], Awaitable[None]]] = {
            name.removeprefix("do_").replace("__", "."): getattr(self, name) for name in dir(self) if name.startswith("do_")
        }

    async def perform(self, number: int, step: Json) -> None:
        self.step = number
        action = self._steps.get(step["do"])
        if action is None:
            self.say("unsupported")
            return
        try:
            await action(step)
        except LedgerError as failure:
            self.print(error(failure))

    def say(self, saw: str, seen: Mapping[str, Any] | None = None) -> Json:
        return self.print({"saw": saw, **(seen or {})})

    def print(self, line: Json) -> Json:
        said = {**line, "step": self.step}
        print(json.dumps(said, default=list), flush=True)
        return said

    # Executions.

    async def do_run(self, step: Json) -> None:
        ran = await done(self.ledger.run(**spec_options(step["spec"])))
        self.say("result", execution(ran))
        if step.get("raise"):
            ran.raise_for_status()

    async def do_execute(self, step: Json) -> None:
        options = chosen(step, "variables", "idempotency_key", "max_retries", "timeout")
        self.say("result", execution(await done(self.ledger.execute(step["name"], **options))))

    async def do_stream(self, step: Json) -> None:
        await self.read(self.ledger.stream(**spec_options(step["spec"])), step)

    async def do_submit(self, step: Json) -> None:
        handle = await done(self.ledger.submit(**spec_options(step["spec"])))
        self.begun[step.get("as", "")] = handle
        self.say("submitted", {"execution_id": handle.id, "status": word(handle.status), "reused": handle.reused})

    async def do_handle(self, step: Json) -> None:
        self.begun[step.get("as", "")] = self.ledger.handle(step["id"])

    async def do_watch(self, step: Json) -> None:
        await self.read(self.handle(step).watch(step.get("after_sequence", 0)), step)

    async def do_tail(self, step: Json) -> None:
        await self.read(self.ledger.tail(**tail_options(step.get("filter", {}))), step)

    async def do_read(self, step: Json) -> None:
        await self.read(self.begun[step["of"]], step)

    async def do_stop(self, step: Json) -> None:
        updates = self.begun.pop(step["of"])
        await done(updates.aclose() if hasattr(updates, "aclose") else updates.close())

    async def do_result(self, step: Json) -> None:
        self.say("result", execution(await done(self.handle(step).result(step.get("timeout")))))

    async def do_get(self, step: Json) -> None:
        self.say("execution", execution(await done(self.handle(step).get())))

    async def do_cancel(self, step: Json) -> None:
        self.say("execution", execution(await done(self.handle(step).cancel(step.get("reason", "")))))

    def handle(self, step: Json) -> Any:
        return self.begun[step["of"]] if "of" in step else self.ledger.handle(step["id"])

    async def read(self, updates: Any, step: Json) -> None:
        """Prints updates, to the one that `until` tells or to the end."""
        if "as" in step:
            self.begun[step["as"]] = updates
        until = step.get("until")
        async for update in each(updates):
            line = self.say(*seen(update))
            if isinstance(update, Text):
                line["so_far"] = updates.text
            if until is not None and all(line.get(key) == value for key, value in until.items()):
                return

    # Prompts.

    async def do_prompts__put(self, step: Json) -> None:
        written = await done(self.ledger.prompts.put(**put_options(step["request"])))
        names = ("version_change", "activated")
        seen = {name: getattr(written, name) for name in names}
        self.say("put", {"name": written.prompt.name, "version": written.version.number, **seen})

    async def do_prompts__get(self, step: Json) -> None:
        self.say("prompt", prompt(await done(self.ledger.prompts.get(step["name"]))))

    async def do_prompts__list(self, step: Json) -> None:
        async for found in each(self.ledger.prompts.list(**step.get("request", {}))):
            self.say("prompt", prompt(found))

    async def do_prompts__versions(self, step: Json) -> None:
        async for found in each(self.ledger.prompts.versions(step["name"], **chosen(step, "page_size"))):
            self.say("version", version(found))

    async def do_prompts__history(self, step: Json) -> None:
        async for found in each(self.ledger.prompts.history(step["name"], **chosen(step, "page_size"))):
            self.say("version", version(found))

    async def do_prompts__activate(self, step: Json) -> None:
        written = self.ledger.prompts.activate(step["name"], step["version"], **chosen(step, "etag"))
        self.say("prompt", prompt(await done(written)))

    async def do_prompts__label(self, step: Json) -> None:
        written = self.ledger.prompts.label(step["name"], step["label"], step["version"])
        self.say("prompt", prompt(await done(written)))

    async def do_prompts__render(self, step: Json) -> None:
        options = chosen(step, "variables", "label", "version")
        rendered = await done(self.ledger.prompts.render(step["name"], **options))
        self.say("rendered", {"text": rendered.text, "messages": rendered.messages})

    async def do_prompts__archive(self, step: Json) -> None:
        self.say("prompt", prompt(await done(self.ledger.prompts.archive(step["name"]))))

    async def do_prompts__changes(self, step: Json) -> None:
        async for change in each(self.ledger.prompts.changes(step.get("name", ""), **chosen(step, "page_size"))):
            seen = {
                "name": change.prompt_name,
                "kind": word(change.kind),
                "version": change.version_number,
                "label": change.label,
                "from": change.from_value,
                "to": change.to_value,
            }
            self.say("change", seen)

    async def do_prompts__batch_get(self, step: Json) -> None:
        batch = await done(self.ledger.prompts.batch_get(step["names"], **chosen(step, "label")))
        for found in batch.found:
            self.say("prompt", prompt(found))
        if batch.missing:
            self.say("missing", {"names": batch.missing})

    async def do_register(self, step: Json) -> None:
        options = chosen(step, "dry_run", "set_active")
        registration = await done(self.ledger.register_code_prompts(step["prompts"], **options))
        names = ("name", "version", "change_detected", "previous_version", "checksum_hash")
        for each_prompt in registration.registered:
            seen = {name: getattr(each_prompt, name) for name in names}
            self.say("registered", {"action": word(each_prompt.action), **seen})

    # The cache.

    async def do_cache__open(self, step: Json) -> None:
        names, prefix = step.get("names") or (), step.get("name_prefix") or ""
        cache = self.ledger.prompt_cache(names, name_prefix=prefix)
        self.begun[step.get("as", "")] = cache
        if step.get("wait", True):
            await done(cache.synced())
            self.say("synced")

    async def do_cache__get(self, step: Json) -> None:
        self.say("cached", self.cached(step))

    async def do_cache__until(self, step: Json) -> None:
        await self.until(lambda: self.cached(step)["version"] == step.get("version"))
        self.say("cached", self.cached(step))

    async def do_cache__stale(self, step: Json) -> None:
        cache = self.begun[step["of"]]
        await self.until(lambda: (cache.stale_since is not None) == step["is"])
        self.say("stale", {"is": cache.stale_since is not None})

    def cached(self, step: Json) -> Json:
        cache, name = self.begun[step["of"]], step["name"]
        try:
            found = cache.get(name, step.get("label"))
        except NotSynced:
            found = None
        return {"name": name, "version": found and found.number, "template": found and found.template}

    @staticmethod
    async def until(enough: Callable[[], bool]) -> None:
        for _ in range(int(_UNTIL / _OFTEN)):
            if enough():
                return
            await asyncio.sleep(_OFTEN)

    async def do_pause(self, _step: Json) -> None:
        self.say("pause")
        await asyncio.to_thread(sys.stdin.readline)


def seen(update: Any) -> tuple[str, Json]:
    """What is printed of an update of an execution or of a tail."""
    match update:
        case Text():
            return "text", {"text": update.text}
        case Restarted():
            return "restarted", {"attempt": update.attempt}
        case Joined():
            return "joined", {"execution_id": update.execution_id}
        case StateChange():
            return "state", state(update)
        case Ended():
            return "result", execution(update.execution)
        case Found():
            found = update.execution
            return "found", {"execution_id": found.id, "sequence": update.sequence, "status": word(found.status)}
        case Changed():
            return "changed", {**state(update.change), "prompt_name": update.change.prompt_name}
        case Synced():
            return "synced", {}
    raise TypeError(f"unknown update: {update}")


def state(change: StateChange) -> Json:
    return {
        "execution_id": change.execution_id,
        "sequence": change.sequence,
        "from": word(change.from_status),
        "to": word(change.to_status),
        "attempt": change.attempt,
        "error_type": change.error_type,
    }


async def main() -> None:
    scenario = json.loads(sys.stdin.readline())
    connect: Callable[..., Any] = aio.connect if "--asyncio" in sys.argv[1:] else prompt_ledger.connect
    try:
        ledger = connect(**scenario.get("options", {}))
    except InvalidOptions as failure:
        print(json.dumps(error(failure)), flush=True)
        return
    driver = Driver(ledger)
    for number, step in enumerate(scenario["steps"]):
        await driver.perform(number, step)
    await done(ledger.aclose() if hasattr(ledger, "aclose") else ledger.close())


if __name__ == "__main__":
    asyncio.run(main())
