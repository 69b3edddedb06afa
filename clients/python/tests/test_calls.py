"""Calls that answer once, against a server that misbehaves on command."""

from __future__ import annotations

import asyncio
import threading
import uuid
from datetime import timedelta
from functools import partial
from typing import Any

import grpc
import pytest

from prompt_ledger import aio, errors, proto
from prompt_ledger._wire import inject
from tests.conftest import close, done, listed, until
from tests.events import ID, end, execution, state, watched
from tests.scripted import KEY, Hang, Refusal, Scripted

Code = grpc.StatusCode
RAN = proto.RunExecutionResponse(execution=execution("SUCCEEDED", "Hello Ada."))
SUBMITTED = proto.SubmitExecutionResponse(execution_id=ID, status=proto.EXECUTION_STATUS_QUEUED)
FOUND = proto.GetExecutionResponse(execution=execution())


async def test_a_run_answers_the_execution(scripted: Scripted, connect: Any) -> None:
    scripted.on("RunExecution", RAN)
    ran = await done(connect(scripted.url).run("greet", {"name": "Ada", "n": 3, "tags": ["a", None, True]}))
    assert (ran.id, ran.status, ran.text, ran.reused) == (ID, "succeeded", "Hello Ada.", False)
    assert ran.raise_for_status() is ran
    [asked] = scripted.asked
    assert asked.request.spec.prompt_name == "greet"
    assert dict(asked.request.spec.variables)["n"] == 3
    assert not asked.request.spec.idempotency_key
    assert asked.headers["x-api-key"] == KEY
    assert "x-ledger-project" not in asked.headers
    assert asked.headers["user-agent"].startswith("prompt-ledger-python/")


async def test_the_deadline_of_a_run_covers_its_attempts_and_other_calls_have_thirty_seconds(
    scripted: Scripted, connect: Any
) -> None:
    scripted.on("RunExecution", RAN)
    scripted.on("GetExecution", FOUND)
    ledger = connect(scripted.url)
    for options in ({}, {"timeout": 20, "max_retries": 2}, {"deadline": 40}):
        await done(ledger.run("greet", **options))
    await done(ledger.handle(ID).get())
    for asked, limit in zip(scripted.asked, [120 + 10, 20 * 3 + 5 + 30 + 10, 40, 30], strict=True):
        # Less by what the call took; no part of a limit is that short.
        assert limit - 8 < (asked.timeout or 0) <= limit


@pytest.mark.parametrize(
    ("refusal", "times"),
    [
        (Refusal(Code.UNAVAILABLE, "STORE_UNAVAILABLE"), 3),
        (Refusal(Code.UNAVAILABLE, "DRAINING", 0.01), 3),
        (Refusal(Code.UNAVAILABLE), 3),
        (Refusal(Code.INTERNAL), 3),
        (Refusal(Code.UNKNOWN), 3),
        (Refusal(Code.CANCELLED), 3),
        (Refusal(Code.RESOURCE_EXHAUSTED, "OVERLOADED", 0.01), 3),
        (Refusal(Code.RESOURCE_EXHAUSTED, "RATE_LIMITED", 0.01), 3),
        (Refusal(Code.RESOURCE_EXHAUSTED, "TOO_LARGE"), 1),
        (Refusal(Code.INTERNAL, "INTERNAL"), 1),
        (Refusal(Code.NOT_FOUND, "EXECUTION_NOT_FOUND"), 1),
        (Refusal(Code.UNAUTHENTICATED, "KEY_INVALID"), 1),
    ],
    ids=lambda value: f"{value.code.name} {value.reason}" if isinstance(value, Refusal) else str(value),
)
async def test_a_read_is_repeated_while_the_failure_may_pass(
    scripted: Scripted, connect: Any, refusal: Refusal, times: int
) -> None:
    scripted.on("GetExecution", refusal, refusal, FOUND)
    call = connect(scripted.url).handle(ID).get
    if times == 3:
        assert (await done(call())).id == ID
    else:
        with pytest.raises(errors.LedgerError) as caught:
            await done(call())
        assert (caught.value.code, caught.value.reason) == (refusal.code, refusal.reason)
    assert len(scripted.asked) == times


async def test_a_submit_keeps_its_key_over_its_repeats_and_the_next_one_has_another(scripted: Scripted, connect: Any) -> None:
    scripted.on("SubmitExecution", Refusal(Code.UNAVAILABLE), Refusal(Code.UNAVAILABLE, "DRAINING", 0.01), SUBMITTED)
    ledger = connect(scripted.url)
    handle = await done(ledger.submit("greet", {"name": "Ada"}))
    assert (handle.id, handle.status, handle.reused) == (ID, "queued", False)
    await done(ledger.submit("greet", {"name": "Ada"}))
    await done(ledger.submit("greet", idempotency_key="order-1"))
    keys = [request.spec.idempotency_key for request in scripted.requests("SubmitExecution")]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert keys[4] == "order-1"
    assert uuid.UUID(keys[0]).version == 7


@pytest.mark.parametrize(
    ("refusal", "key", "times"),
    [
        (Refusal(Code.UNAVAILABLE), "", 1),
        (Refusal(Code.UNAVAILABLE, "STORE_UNAVAILABLE", 0.01), "", 1),
        (Refusal(Code.RESOURCE_EXHAUSTED, "RATE_LIMITED", 0.01), "", 1),
        (Refusal(Code.RESOURCE_EXHAUSTED, "OVERLOADED", 0.01, {"execution_id": ID}), "", 1),
        (Refusal(Code.RESOURCE_EXHAUSTED, "OVERLOADED", 0.01), "", 2),
        (Refusal(Code.UNAVAILABLE, "DRAINING", 0.01), "", 2),
        (Refusal(Code.UNAVAILABLE), "order-1", 2),
        (Refusal(Code.UNAVAILABLE, "STORE_UNAVAILABLE", 0.01), "order-1", 2),
    ],
)
async def test_a_run_without_a_key_is_repeated_only_where_nothing_began(
    scripted: Scripted, connect: Any, refusal: Refusal, key: str, times: int
) -> None:
    scripted.on("RunExecution", refusal, RAN)
    run = connect(scripted.url).run
    if times == 1:
        with pytest.raises(errors.LedgerError):
            await done(run("greet", idempotency_key=key))
    else:
        await done(run("greet", idempotency_key=key))
    assert len(scripted.asked) == times


async def test_what_finds_no_connection_is_repeated(connect: Any, flavor: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    ledger = connect("http://127.0.0.1:1")
    calls = [
        asyncio.create_task(asyncio.to_thread(call, "greet") if flavor == "sync" else call("greet"))
        for call in (ledger.prompts.get, ledger.run)
    ]
    await until(lambda: all(f"{method}: UNAVAILABLE, again in" in caplog.text for method in ("GetPrompt", "RunExecution")))
    await close(ledger)
    for call in calls:
        with pytest.raises(errors.ClientClosed):
            await call


async def test_what_finds_no_connection_ends_at_its_deadline(connect: Any) -> None:
    ledger = connect("http://127.0.0.1:1", timeout=0.4)
    for call in (ledger.prompts.get, partial(ledger.run, deadline=0.4)):
        # The last attempt may find the deadline first.
        with pytest.raises((errors.Unavailable, errors.DeadlineExceeded)):
            await done(call("greet"))


async def test_a_call_that_is_not_answered_ends_at_its_deadline(scripted: Scripted, connect: Any) -> None:
    scripted.on("GetPrompt", [Hang()])
    with pytest.raises(errors.DeadlineExceeded) as caught:
        await done(connect(scripted.url, timeout=0.2).prompts.get("greet"))
    assert isinstance(caught.value, TimeoutError)


async def test_writes_that_cannot_be_done_twice_are_not(scripted: Scripted, connect: Any) -> None:
    prompts = connect(scripted.url).prompts
    scripted.on("PutPrompt", Refusal(Code.UNAVAILABLE))
    scripted.on("RemoveLabel", Refusal(Code.UNAVAILABLE))
    for options in ({"etag": "e"}, {"create_only": True}):
        with pytest.raises(errors.Unavailable):
            await done(prompts.put("greet", "Hi", **options))
    with pytest.raises(errors.Unavailable):
        await done(prompts.unlabel("greet", "production"))
    assert len(scripted.asked) == 3


async def test_what_the_server_refuses_is_an_error_of_its_reason(scripted: Scripted, connect: Any) -> None:
    fields = {"variables.name": "is missing", "variables.company": "is missing"}
    missing = Refusal(Code.INVALID_ARGUMENT, "VARIABLES_MISSING", fields=fields, metadata={"prompt": "greet"})
    newer = Refusal(Code.NOT_FOUND, "TEAPOT_NOT_FOUND", metadata={"teapot": "blue"})
    reused = Refusal(Code.ALREADY_EXISTS, "IDEMPOTENCY_KEY_REUSED", metadata={"execution_id": ID})
    scripted.on("RunExecution", missing, newer, reused)
    run = connect(scripted.url).run
    with pytest.raises(errors.VariablesMissing) as caught:
        await done(run("greet"))
    error: Any = caught.value
    assert (error.missing, error.fields, error.metadata) == (["company", "name"], fields, {"prompt": "greet"})
    assert (error.code, error.reason, str(error)) == (Code.INVALID_ARGUMENT, "VARIABLES_MISSING", "said so")
    with pytest.raises(errors.NotFound) as unknown:
        await done(run("greet"))
    assert type(unknown.value) is errors.NotFound
    assert (unknown.value.reason, unknown.value.metadata) == ("TEAPOT_NOT_FOUND", {"teapot": "blue"})
    with pytest.raises(errors.IdempotencyKeyReused) as again:
        await done(run("greet", idempotency_key="k"))
    assert again.value.execution_id == ID


async def test_the_key_is_in_nothing_that_is_printed(scripted: Scripted, connect: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    scripted.on("GetExecution", Refusal(Code.UNAUTHENTICATED, "KEY_INVALID"), Refusal(Code.UNAVAILABLE), FOUND)
    ledger = connect(scripted.url)
    with pytest.raises(errors.KeyInvalid) as caught:
        await done(ledger.handle(ID).get())
    await done(ledger.handle(ID).get())
    shown = f"{ledger!r} {ledger.raw!r} {ledger.prompts!r} {caught.value!r} {caught.value.__cause__!r} {caplog.text}"
    assert KEY not in shown
    assert "GetExecution: UNAVAILABLE, again in" in caplog.text
    assert "GetExecution: OK after" in caplog.text


async def test_a_failed_execution_is_a_result(scripted: Scripted, connect: Any) -> None:
    failed = execution("FAILED", error_type="timeout", error_message="the model did not answer")
    scripted.on("RunExecution", proto.RunExecutionResponse(execution=failed, reused=True))
    ran = await done(connect(scripted.url).run("greet"))
    assert (ran.status, ran.succeeded, ran.reused) == ("failed", False, True)
    with pytest.raises(errors.ExecutionFailed, match="failed: the model did not answer") as caught:
        ran.raise_for_status()
    assert caught.value.execution is ran


HOSTILE = (-(2**63), -1, 253_402_300_800, 2**63 - 1)


@pytest.mark.parametrize("number", HOSTILE)
async def test_a_delay_that_no_clock_has_is_an_error_of_its_reason(scripted: Scripted, connect: Any, number: int) -> None:
    refusal = Refusal(Code.INVALID_ARGUMENT, "TEMPLATE_INVALID", details_retry=number)
    scripted.on("GetExecution", refusal)
    scripted.on("WatchExecution", refusal)
    ledger = connect(scripted.url)
    for call in (ledger.handle(ID).get, ledger.handle(ID).result):
        with pytest.raises(errors.TemplateInvalid) as caught:
            await done(call())
        assert caught.value.retry_after == pytest.approx(float(number))


@pytest.mark.parametrize("number", HOSTILE)
async def test_a_time_that_no_calendar_has_is_the_nearest_one(scripted: Scripted, connect: Any, number: int) -> None:
    first = watched(state(1, "QUEUED", 0))[0]
    first.event.at.seconds, first.event.at.nanos = number, -(2**31)
    scripted.on("WatchExecution", [first, *watched(end(2))])
    updates = await listed(connect(scripted.url).watch(ID))
    assert updates[0].at.year in (1, 9999)


@pytest.mark.parametrize("timeout", [float("inf"), timedelta.max])
async def test_a_time_may_have_no_end(scripted: Scripted, connect: Any, timeout: Any) -> None:
    scripted.on("GetExecution", FOUND)
    scripted.on("RunExecution", proto.RunExecutionResponse(execution=execution()))
    scripted.on("WatchExecution", watched(end(1)))
    ledger = connect(scripted.url, timeout=timeout, patience=timeout, silence=timeout)
    assert (await done(ledger.handle(ID).get())).id == ID
    assert (await done(ledger.handle(ID).result(timeout))).id == ID
    assert (await done(ledger.run("greet", {}, deadline=timeout))).id == ID
    with pytest.raises(errors.InvalidField, match="timeout"):
        await done(ledger.run("greet", {}, timeout=float("inf")))


async def test_an_interceptor_that_fails_ends_its_stream(scripted: Scripted, connect: Any, flavor: str) -> None:
    def broken(answers: Any) -> Any:
        for each in [answers]:
            if each is not None:
                raise ValueError(each)
            yield each

    async def broken_later(answers: Any) -> Any:
        for each in [answers]:
            if each is not None:
                raise ValueError(each)
            yield each

    class Sync(grpc.UnaryStreamClientInterceptor):
        def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
            return _Answers(continuation(details, request), broken)

    class _Answers:
        def __init__(self, call: Any, read: Any) -> None:
            self.cancel, self._read = call.cancel, read

        def __iter__(self) -> Any:
            return self._read(self)

    class Asyncio(grpc.aio.UnaryStreamClientInterceptor):
        async def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
            return broken_later(await continuation(details, request))

    scripted.on("StreamExecution", [Hang()])
    interceptor = Sync() if flavor == "sync" else Asyncio()
    ledger = connect(scripted.url, interceptors=[interceptor])
    with pytest.raises(errors.NotResumable, match="ValueError"):
        await done(ledger.stream("greet", {}).result(timeout=60))


async def test_a_registered_prompt_is_executed_by_the_hash_of_its_text(scripted: Scripted, connect: Any) -> None:
    registered = proto.RegisteredPrompt(name="WELCOME", version=3, checksum_hash="ab" * 32)
    scripted.on("RegisterCodePrompts", proto.RegisterCodePromptsResponse(registered=[registered]))
    scripted.on("ExecuteCodePrompt", proto.ExecuteCodePromptResponse(execution=execution()))
    ledger = connect(scripted.url)
    await done(ledger.register_code_prompts({"WELCOME": "Hello {{name}}"}, dry_run=True))
    await done(ledger.execute("WELCOME", {"name": "Ada"}))
    await done(ledger.register_code_prompts({"WELCOME": "Hello {{name}}"}, repository="shop", commit="4f2a"))
    await done(ledger.execute("WELCOME", {"name": "Ada"}))
    await done(ledger.execute("WELCOME", version=2))
    await done(ledger.run("WELCOME"))
    await done(ledger.submit("WELCOME"))
    requests = scripted.requests("ExecuteCodePrompt")
    assert [request.spec.checksum_hash for request in requests] == ["", *["ab" * 32], "", *["ab" * 32] * 2]
    assert [request.mode for request in requests] == [proto.EXECUTION_MODE_SYNC] * 4 + [proto.EXECUTION_MODE_ASYNC]
    assert requests[4].spec.idempotency_key
    assert scripted.requests("RegisterCodePrompts")[1].source.commit == "4f2a"


async def test_a_tracking_only_client_executes_code_prompts(scripted: Scripted, connect: Any) -> None:
    scripted.on("ExecuteCodePrompt", proto.ExecuteCodePromptResponse(execution=execution()))
    ledger = connect(scripted.url, mode="tracking_only")
    await done(ledger.run("WELCOME", messages=[{"role": "user", "content": "Hi"}]))
    assert scripted.requests("ExecuteCodePrompt")[0].spec.messages[0].content == "Hi"


async def test_a_project_and_the_raw_stubs(scripted: Scripted, connect: Any) -> None:
    scripted.on("ListModels", proto.ListModelsResponse(next_page_token="more"))
    ledger = connect(scripted.url, project="shop")
    answer = await done(ledger.raw.registry.ListModels(proto.ListModelsRequest(), timeout=5))
    assert answer.next_page_token == "more"
    assert (scripted.asked[0].headers["x-api-key"], scripted.asked[0].headers["x-ledger-project"]) == (KEY, "shop")


async def test_the_trace_context_is_sent(scripted: Scripted, connect: Any) -> None:
    assert inject is not None, "opentelemetry-api is there in tests"
    from opentelemetry import trace
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

    scripted.on("GetExecution", FOUND)
    span = NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1)))
    with trace.use_span(span):
        await done(connect(scripted.url).handle(ID).get())
    assert scripted.asked[0].headers["traceparent"] == f"00-{0xABC:032x}-{0xDEF:016x}-01"


async def test_interceptors_see_each_call(scripted: Scripted, connect: Any, flavor: str) -> None:
    seen: list[Any] = []

    class Sync(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            seen.append(details.method)
            return continuation(details, request)

    class Asyncio(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            seen.append(details.method)
            return await continuation(details, request)

    scripted.on("GetExecution", FOUND)
    interceptor = Sync() if flavor == "sync" else Asyncio()
    assert (await done(connect(scripted.url, interceptors=[interceptor]).handle(ID).get())).id == ID
    assert len(seen) == 1


async def test_a_closed_client_says_so(scripted: Scripted, connect: Any) -> None:
    ledger = connect(scripted.url)
    await close(ledger)
    with pytest.raises(errors.ClientClosed):
        await done(ledger.handle(ID).get())


async def test_closing_ends_a_call_under_way(scripted: Scripted, connect: Any, flavor: str) -> None:
    arrived = threading.Event()
    scripted.on("GetExecution", [arrived.set, Hang()])
    ledger = connect(scripted.url)
    get = ledger.handle(ID).get
    call = asyncio.create_task(asyncio.to_thread(get) if flavor == "sync" else get())
    assert await asyncio.to_thread(arrived.wait, 60)
    await close(ledger)
    with pytest.raises(errors.ClientClosed):
        await call


async def test_a_task_that_is_canceled_ends_its_call(scripted: Scripted) -> None:
    arrived = threading.Event()
    scripted.on("GetExecution", [arrived.set, Hang()])
    async with aio.connect(scripted.url, api_key=KEY) as ledger:
        call = asyncio.create_task(ledger.handle(ID).get())
        assert await asyncio.to_thread(arrived.wait, 60)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(scripted.hung_up.wait, 60)
