"""Lists and batches that take several calls."""

from __future__ import annotations

from typing import Any

import pytest

from prompt_ledger import errors, proto
from tests.conftest import done, listed
from tests.scripted import Scripted


async def test_pages_are_read_as_they_are_reached(scripted: Scripted, connect: Any) -> None:
    def page(token: str, *names: str) -> proto.ListPromptsResponse:
        prompts = [proto.Prompt(prompt_id=name, name=name) for name in names]
        return proto.ListPromptsResponse(prompts=prompts, next_page_token=token)

    scripted.on("ListPrompts", page("2", "a", "b"), page("3"), page("", "c"))
    found = await listed(connect(scripted.url).prompts.list(mode="tracking", page_size=2))
    assert [prompt.name for prompt in found] == ["a", "b", "c"]
    requests = scripted.requests("ListPrompts")
    assert [request.page_token for request in requests] == ["", "2", "3"]
    assert all(request.mode == proto.PROMPT_MODE_TRACKING and request.page_size == 2 for request in requests)


async def test_batches_of_any_size_are_got(scripted: Scripted, connect: Any) -> None:
    names = [f"p{number}" for number in range(120)]

    def answer(found: list[str], missing: list[str], left_out: list[str]) -> proto.BatchGetPromptsResponse:
        prompts = [proto.FoundPrompt(prompt=proto.Prompt(name=name)) for name in found]
        return proto.BatchGetPromptsResponse(found=prompts, missing=missing, left_out=left_out)

    scripted.on("BatchGetPrompts", answer(names[:90], [names[90]], names[91:100]), answer(names[91:], [], []))
    batch = await done(connect(scripted.url).prompts.batch_get(names, label="production"))
    assert [prompt.name for prompt in batch.found] == [*names[:90], *names[91:]]
    assert batch.missing == ("p90",)
    assert [list(request.names) for request in scripted.requests("BatchGetPrompts")] == [names[:100], names[91:]]


async def test_a_server_that_gets_no_further_is_asked_no_more(scripted: Scripted, connect: Any) -> None:
    scripted.on("ListPrompts", proto.ListPromptsResponse(next_page_token="2"))
    scripted.on("BatchGetPrompts", proto.BatchGetPromptsResponse(left_out=["a", "b"]))
    ledger = connect(scripted.url)
    with pytest.raises(errors.Internal, match="the same page"):
        await listed(ledger.prompts.list())
    with pytest.raises(errors.Internal, match="leaves out"):
        await done(ledger.prompts.batch_get(["a", "b"]))
    assert len(scripted.asked) == 3
