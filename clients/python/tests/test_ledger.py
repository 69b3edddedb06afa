"""Against a real server: `prompt-ledger dev`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from prompt_ledger import PromptLedger, errors, proto
from prompt_ledger.testing import DevServer
from tests.conftest import close, done, following, listed


@pytest.fixture
def dev(connect: Any, prompt_ledger_server: DevServer, request: pytest.FixtureRequest, flavor: str) -> Any:
    """A client in which each test has prompts of its own: they begin with its name."""
    ledger = connect(prompt_ledger_server.server, api_key=prompt_ledger_server.api_key)
    ledger.own = f"{request.node.originalname}.{flavor}"[-120:].lstrip("_.")
    return ledger


async def test_register_run_and_read_back(dev: Any) -> None:
    written = await done(dev.prompts.put(dev.own, "Say hello to {{name}}.", set_active=True, tags=["a"], created_by="ada"))
    assert (written.version.number, written.version_change, written.activated) == (1, True, True)
    ran = await done(dev.run(dev.own, {"name": "Ada"}, correlation_id="c-1", metadata={"user": "u-17"}))
    assert ran.raise_for_status().rendered_prompt == "Say hello to Ada."
    assert ran.text
    again = await done(dev.handle(ran.id).get())
    assert (again.text, again.mode, again.version_number) == (ran.text, "sync", 1)
    [listed_one] = await listed(dev.executions(prompt_name=dev.own, metadata={"user": "u-17"}, statuses=["succeeded"]))
    assert (listed_one.id, listed_one.text) == (ran.id, "")
    verified = await done(dev.raw.executions.VerifyExecution(proto.VerifyExecutionRequest(execution_id=ran.id)))
    assert verified.result == proto.VERIFICATION_RESULT_MATCH


async def test_versions_labels_and_the_change_log(dev: Any) -> None:
    prompts, name = dev.prompts, dev.own
    first = await done(prompts.put(name, "one", set_active=True, description="about", owner_team="shop"))
    second = await done(prompts.put(name, "two", labels=["staging"], note="shorter"))
    assert second.prompt.labels == {"staging": 2}
    with pytest.raises(errors.EtagMismatch):
        await done(prompts.activate(name, 2, etag=first.prompt.etag))
    active = await done(prompts.activate(name, 2, etag=second.prompt.etag, created_by="ada"))
    assert (active.active_version, active.version.template) == (2, "two")
    labelled = await done(prompts.label(name, "production", 1))
    assert (labelled.labels, labelled.version.number) == ({"production": 1, "staging": 2}, 1)
    assert (await done(prompts.unlabel(name, "staging"))).labels == {"production": 1}
    assert (await done(prompts.version(name, label="production"))).template == "one"
    assert [version.number for version in await listed(prompts.versions(name, page_size=1))] == [2, 1]
    await done(dev.run(name, label="production"))
    assert [version.execution_count for version in await listed(prompts.history(name, mode="full"))] == [0, 1]
    kinds = [change.kind for change in await listed(prompts.changes(name, kinds=["activated", "label_set", "label_removed"]))]
    assert kinds == ["label_removed", "label_set", "activated", "label_set", "activated"]
    got = await done(prompts.get(name, min_revision=second.revision))
    assert (got.description, got.owner_team, got.mode) == ("about", "shop", "full")
    batch = await done(prompts.batch_get([name, "nobody"], label="production"))
    assert ([prompt.version.number for prompt in batch.found], batch.missing) == ([1], ("nobody",))
    assert (await done(prompts.archive(name))).archived_at is not None
    assert name not in [prompt.name for prompt in await listed(prompts.list(name_prefix=name))]
    with pytest.raises(errors.PromptArchived):
        await done(dev.run(name))
    assert (await done(prompts.unarchive(name))).archived_at is None


async def test_a_chat_is_rendered_with_its_history(dev: Any) -> None:
    chat = [{"role": "system", "content": "Be {{how}}."}, {"placeholder": "history"}, {"role": "user", "content": "{{q}}"}]
    await done(dev.prompts.put(dev.own, chat=chat, config={"params": {"temperature": 0}}, set_active=True))
    variables = {"how": "exact", "q": "Well?", "history": [{"role": "user", "content": "Hi"}]}
    rendered = await done(dev.prompts.render(dev.own, variables))
    contents = ["Be exact.", "Hi", "Well?"]
    assert [message["content"] for message in rendered.messages] == contents
    assert (await done(dev.prompts.get(dev.own))).version.chat == chat
    draft = await done(dev.prompts.render_draft("Hi {{name}}", {"name": "Ada"}))
    assert (draft.text, draft.version, draft.truncated) == ("Hi Ada", None, False)
    ran = await done(dev.run(dev.own, variables))
    assert [message.content for message in ran.raw.messages] == contents


async def test_what_is_missing_and_what_is_in_the_wrong_mode_is_told(dev: Any) -> None:
    await done(dev.prompts.put(dev.own, "{{user.name}} at {{company}}", set_active=True))
    with pytest.raises(errors.VariablesMissing) as missing:
        await done(dev.run(dev.own, {"user": {}}))
    assert missing.value.missing == ["company", "user.name"]
    with pytest.raises(errors.ModeMismatch) as mode:
        await done(dev.execute(dev.own))
    assert mode.value.metadata["mode"] == "full"
    with pytest.raises(errors.PromptNotFound):
        await done(dev.prompts.get("nobody"))


async def test_a_submitted_execution_is_watched_to_its_end(dev: Any) -> None:
    await done(dev.prompts.put(dev.own, "Hi {{name}}", set_active=True))
    handle = await done(dev.submit(dev.own, {"name": "Ada"}, stream_text=True, idempotency_key="order-1"))
    result = await done(handle.result(timeout=30))
    assert (result.status, result.mode) == ("succeeded", "async")
    again = await done(dev.submit(dev.own, {"name": "Ada"}, stream_text=True, idempotency_key="order-1"))
    assert (again.id, again.reused, again.status) == (handle.id, True, "succeeded")
    with pytest.raises(errors.IdempotencyKeyReused) as reused:
        await done(dev.submit(dev.own, {"name": "Bob"}, idempotency_key="order-1"))
    assert reused.value.execution_id == handle.id
    updates = handle.watch()
    told = await listed(updates)
    assert [update.to_status for update in told if hasattr(update, "to_status")] == ["queued", "running", "succeeded"]
    assert updates.text == result.text
    with pytest.raises(errors.ExecutionFinished):
        await done(handle.cancel("too late"))


async def test_a_stream_and_a_tail(dev: Any) -> None:
    await done(dev.prompts.put(dev.own, "Hi {{name}}", set_active=True))
    tail = dev.tail(prompt_name=dev.own)
    await following(tail)
    stream = dev.stream(dev.own, {"name": "Ada"})
    pieces = await listed(stream.texts())
    result = await done(stream.result())
    assert "".join(pieces) == result.text == stream.text
    changes = [(await following(tail)).change for _ in range(2)]
    assert [change.execution_id for change in changes] == [result.id] * 2
    assert [change.to_status for change in changes] == ["running", "succeeded"]
    await close(tail)


async def test_prompts_of_code(dev: Any) -> None:
    name = dev.own
    registration = await done(dev.register_code_prompts({name: "Hello {{name}}"}, repository="shop", commit="4f2a9c1"))
    assert [(each.action, each.version) for each in registration.registered] == [("new", 1)]
    dry = await done(dev.register_code_prompts({name: "Bye {{name}}"}, dry_run=True))
    assert dry.exit_code == 1
    assert "-Hello {{name}}" in dry.diff
    assert "+Bye {{name}}" in dry.diff
    # Another release registers another text meanwhile.
    other = proto.RegisterCodePromptsRequest(prompts=[proto.CodePrompt(name=name, template_source="Good day {{name}}")])
    await done(dev.raw.code.RegisterCodePrompts(other))
    for ran in (await done(dev.execute(name, {"name": "Ada"})), await done(dev.stream(name, {"name": "Ada"}).result())):
        assert (ran.version_number, ran.rendered_prompt) == (1, "Hello Ada")
    submitted = await done((await done(dev.submit(name, {"name": "Ada"}))).result(30))
    assert (submitted.version_number, submitted.raw.prompt_mode) == (1, proto.PROMPT_MODE_TRACKING)


async def test_a_cache_follows_an_activation_and_a_label(dev: Any) -> None:
    await done(dev.prompts.put(dev.own, "one", set_active=True))
    cache = dev.prompt_cache([dev.own])
    await done(cache.synced())
    assert cache.get(dev.own).template == "one"
    written = await done(dev.prompts.put(dev.own, "two", set_active=True, labels=["production"]))
    await done(cache.reached(written.revision))
    assert cache.get(dev.own).template == cache.get(dev.own, "production").template == "two"
    await close(cache)


async def test_a_wrong_key_is_refused(connect: Any, prompt_ledger_server: DevServer) -> None:
    wrong = connect(prompt_ledger_server.server, api_key="pl_wrong-and-secret")
    with pytest.raises(errors.KeyInvalid):
        await done(wrong.run("greet"))
    with pytest.raises(errors.KeyInvalid):
        await following(wrong.watch("0190163d-8694-739b-aea5-966c26f8ad91"))
    with pytest.raises(errors.KeyInvalid):
        await done(wrong.prompt_cache().synced())
    nobody = connect(prompt_ledger_server.server, api_key="")
    with pytest.raises(errors.KeyMissing):
        await done(nobody.prompts.get("greet"))


def test_the_lines_of_the_first_release(prompt_ledger_server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_SERVER", prompt_ledger_server.server)
    monkeypatch.setenv("LEDGER_API_KEY", prompt_ledger_server.api_key)
    ledger = PromptLedger(mode="tracking_only")
    ledger.register_code_prompts(
        [
            {
                "name": "WELCOME",
                "template_source": "Hello {{name}}, welcome to {{company}}!",
                "template_hash": "49975a538ca4df085fbad972ff3cb847f99b470972f4c85a505004f10d44afa1",
            }
        ]
    )
    result = ledger.execute("WELCOME", {"name": "Ada", "company": "Analytical Engines"})
    assert result.rendered_prompt == "Hello Ada, welcome to Analytical Engines!"
    with pytest.raises(errors.TemplateHashMismatch):
        ledger.register_code_prompts([{"name": "WELCOME", "template_source": "Hi", "template_hash": "00" * 32}])
    ledger.close()


async def test_many_tasks_share_a_client(dev: Any) -> None:
    await done(dev.prompts.put(dev.own, "Hi {{n}}", set_active=True))

    async def one(number: int) -> str:
        if hasattr(dev, "aclose"):
            ran = await dev.run(dev.own, {"n": number})
        else:
            ran = await asyncio.to_thread(dev.run, dev.own, {"n": number})
        return str(ran.rendered_prompt)

    assert await asyncio.gather(*map(one, range(40))) == [f"Hi {number}" for number in range(40)]
