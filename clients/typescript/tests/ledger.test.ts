/** The whole client, with a ledger of its own. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  EtagMismatch,
  ExecutionFinished,
  LabelNotFound,
  ModeMismatch,
  PromptArchived,
  PromptExists,
  PromptNotFound,
  TemplateInvalid,
  VariablesMissing,
} from "../src/index.ts";
import { useLedger } from "../src/testing.ts";
import { all } from "./support/scripted.ts";

const fixture = useLedger();

test("a prompt's life", async () => {
  const { prompts } = fixture.ledger;
  const first = await prompts.put("life", "one {{name}}", { setActive: true, tags: ["b", "a"], description: "d" });
  assert.deepEqual([first.version.number, first.versionChange, first.activated], [1, true, true]);
  const again = await prompts.put("life", "one {{name}}");
  assert.deepEqual([again.version.number, again.versionChange], [1, false]);
  const second = await prompts.put("life", "two {{name}}", { labels: ["staging"], config: { model: "echo/echo" } });
  assert.deepEqual(
    [second.prompt.activeVersion, second.prompt.latestVersion, second.prompt.labels],
    [1, 2, { staging: 2 }],
  );
  assert.deepEqual(second.version.config, { model: { provider: "echo", modelName: "echo" } });

  const found = await prompts.get("life", { minRevision: second.revision });
  assert.deepEqual(
    [found.name, found.mode, found.description, found.tags, found.version?.template, found.archivedAt],
    ["life", "full", "d", ["b", "a"], "one {{name}}", undefined],
  );
  assert.ok(found.createdAt instanceof Date);
  assert.equal((await prompts.version("life", { label: "staging" })).template, "two {{name}}");
  assert.deepEqual((await prompts.version("life")).variables, ["name"]);
  assert.deepEqual(
    (await all(prompts.versions("life", { pageSize: 1 }))).map((version) => version.number),
    [2, 1],
  );

  const [, oldest] = await all(prompts.history("life", { mode: "full", pageSize: 1 }));
  assert.deepEqual([oldest?.number, oldest?.executionCount], [1, 0]);
  await assert.rejects(prompts.activate("life", 2, { etag: "old" }), EtagMismatch);
  const promoted = await prompts.activate("life", 2, {
    etag: found.etag === second.prompt.etag ? found.etag : second.prompt.etag,
  });
  assert.equal(promoted.version?.number, 2);
  assert.deepEqual((await prompts.label("life", "production", 1)).labels, { production: 1, staging: 2 });
  assert.deepEqual((await prompts.unlabel("life", "staging")).labels, { production: 1 });
  await assert.rejects(prompts.unlabel("life", "staging"), LabelNotFound);

  const rendered = await prompts.render("life", { name: "Ada" }, { label: "production" });
  assert.deepEqual([rendered.text, rendered.version?.number, rendered.truncated], ["one Ada", 1, false]);
  const draft = await prompts.renderDraft([{ role: "user", content: "Hi {{name}}" }], { name: "Ada" });
  assert.deepEqual([draft.messages, draft.version], [[{ role: "user", content: "Hi Ada" }], undefined]);

  const kinds = (await all(prompts.changes("life"))).map((change) => change.kind);
  assert.ok(
    ["created", "version_created", "activated", "label_set", "label_removed"].every((kind) => kinds.includes(kind)),
  );
  const [removed] = await all(prompts.changes("life", { kinds: ["label_removed"] }));
  assert.deepEqual([removed?.label, removed?.from], ["staging", "2"]);

  assert.ok((await prompts.archive("life")).archivedAt instanceof Date);
  await assert.rejects(fixture.ledger.run("life", { name: "Ada" }), PromptArchived);
  assert.equal((await prompts.unarchive("life")).archivedAt, undefined);
  const batch = await prompts.batchGet(["missing", "life"]);
  assert.deepEqual([batch.found.map((prompt) => prompt.name), batch.missing], [["life"], ["missing"]]);
});

test("what the ledger refuses", async () => {
  const { ledger } = fixture;
  const { prompts } = ledger;
  await prompts.put("refused", "Hi {{name}}", { setActive: true });
  await assert.rejects(prompts.put("refused", "Hi", { createOnly: true }), PromptExists);
  await assert.rejects(prompts.put("broken", "Hi {{#if}"), TemplateInvalid);
  await assert.rejects(prompts.get("nowhere"), PromptNotFound);
  await assert.rejects(
    ledger.run("refused", {}),
    (error) => error instanceof VariablesMissing && error.missing.join() === "name",
  );
  await assert.rejects(
    ledger.execute("refused", { name: "Ada" }),
    (error) => error instanceof ModeMismatch && error.metadata["mode"] === "full",
  );
});

test("an execution is run, streamed, submitted and listed", async () => {
  const { ledger } = fixture;
  await ledger.prompts.put("greet", "Say hello to {{name}}.", { setActive: true });
  const correlationId = "ledger-test";
  const ran = (await ledger.run("greet", { name: "Ada" }, { correlationId, metadata: { shop: "1" } })).raiseForStatus();
  assert.deepEqual([ran.text, ran.mode, ran.attempts], ["Say hello to Ada.", "sync", 1]);
  assert.equal((await ledger.handle(ran.id).get()).raw.metadata["shop"], "1");

  const stream = ledger.stream("greet", { name: "Grace" }, { correlationId });
  assert.equal((await all(stream.texts())).join(""), "Say hello to Grace.");
  assert.equal((await stream.result()).id, stream.executionId);

  const handle = await ledger.submit("greet", { name: "Alan" }, { correlationId, streamText: true });
  const watched = await all(handle.watch());
  assert.deepEqual([watched.at(-1)?.kind, (await handle.result()).text], ["ended", "Say hello to Alan."]);
  await assert.rejects(handle.cancel("too late"), ExecutionFinished);
  const again = await all(ledger.watch(handle.id, { afterSequence: 1 }));
  assert.ok(!again.some((update) => update.kind === "stateChanged" && update.sequence === 1));

  const listed = await all(ledger.executions({ correlationId, statuses: ["succeeded"], pageSize: 2 }));
  assert.deepEqual(new Set(listed.map((each) => each.id)), new Set([ran.id, stream.executionId, handle.id]));
  assert.ok(listed.every((each) => each.text === ""));
  const [full] = await all(ledger.executions({ correlationId, promptName: "greet", full: true, mode: "async" }));
  assert.equal(full?.text, "Say hello to Alan.");
});

test("a key finds what it began", async () => {
  const { ledger } = fixture;
  await ledger.prompts.put("keyed", "Hi {{name}}", { setActive: true });
  const options = { idempotencyKey: "order-17" };
  const first = await ledger.run("keyed", { name: "Ada" }, options);
  const second = await ledger.run("keyed", { name: "Ada" }, options);
  assert.deepEqual([second.id, first.reused, second.reused], [first.id, false, true]);
  const handle = await ledger.submit("keyed", { name: "Ada" }, options);
  assert.deepEqual([handle.id, handle.reused], [first.id, true]);
});

test("a tail tells of what matches", async () => {
  const { ledger } = fixture;
  await ledger.prompts.put("tailed", "Hi", { setActive: true });
  const told: string[] = [];
  for await (const update of ledger.tail({ promptName: "tailed" })) {
    told.push(update.kind === "changed" ? update.change.to : update.kind);
    if (update.kind === "synced") {
      await ledger.submit("tailed");
    }
    if (update.kind === "changed" && update.execution !== undefined) {
      break;
    }
  }
  assert.deepEqual(told, ["synced", "queued", "running", "succeeded"]);
});

test("a cache follows what is written", async () => {
  const { ledger } = fixture;
  const cache = await ledger.promptCache({ namePrefix: "cached." }).synced();
  assert.deepEqual(cache.names(), []);
  const changes = cache.changes();
  const written = await ledger.prompts.put("cached.banner", "Sale!", { labels: ["production"] });
  assert.deepEqual((await changes.next()).value, ["cached.banner"]);
  await cache.reached(written.revision);
  assert.deepEqual(
    [cache.get("cached.banner", "production")?.template, cache.get("cached.banner")],
    ["Sale!", undefined],
  );
  await cache.close();
});

test("prompts in code are registered and executed", async () => {
  const { ledger } = fixture;
  const registered = await ledger.registerCodePrompts({ "code.WELCOME": "Hello {{name}}" }, { createdBy: "test" });
  assert.deepEqual(
    registered.registered.map((each) => [each.action, each.version]),
    [["new", 1]],
  );
  assert.equal((await ledger.execute("code.WELCOME", { name: "Ada" })).text, "Hello Ada");
  const same = await ledger.registerCodePrompts(new Map([["code.WELCOME", "Hello {{name}}"]]), { dryRun: true });
  assert.deepEqual([same.changed, same.exitCode, same.diff], [false, 0, ""]);
  const other = await ledger.registerCodePrompts({ "code.WELCOME": "Bye {{name}}\n" }, { dryRun: true });
  assert.match(other.diff, /-Hello \{\{name\}\}\n\\ No newline at end of file\n\+Bye \{\{name\}\}\n$/);
  assert.equal((await ledger.stream("code.WELCOME", { name: "Grace" }).result()).text, "Hello Grace");
});
