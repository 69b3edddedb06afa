/** Calls of several steps: pages, batches, and prompts in code. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { create } from "@bufbuild/protobuf";

import {
  BatchGetPromptsResponseSchema,
  CodeRegistrationService,
  ExecuteCodePromptResponseSchema,
  ExecutionMode,
  ExecutionService,
  ExecutionStatus,
  ListExecutionsResponseSchema,
  ListPromptsResponseSchema,
  PromptMode,
  RegisterCodePromptsResponseSchema,
  RegistryService,
} from "../src/proto.ts";
import { execution, ID } from "./support/events.ts";
import { all, Scripted } from "./support/scripted.ts";

test("pages are read as they are reached", async (t) => {
  const scripted = await Scripted.start(t);
  const page = (
    nextPageToken: string,
    ...names: string[]
  ): ReturnType<typeof create<typeof ListPromptsResponseSchema>> =>
    create(ListPromptsResponseSchema, { prompts: names.map((name) => ({ promptId: name, name })), nextPageToken });
  scripted.on("ListPrompts", page("2", "a", "b"), page("3"), page("", "c"));
  const { prompts } = scripted.connect();
  const found = await all(prompts.list({ mode: "tracking", pageSize: 2 }));
  assert.deepEqual(
    found.map((prompt) => prompt.name),
    ["a", "b", "c"],
  );
  const requests = scripted.requests(RegistryService.method.listPrompts);
  assert.deepEqual(
    requests.map((each) => [each.pageToken, each.mode, each.pageSize]),
    ["", "2", "3"].map((token) => [token, PromptMode.TRACKING, 2]),
  );
  for await (const prompt of prompts.list()) {
    assert.equal(prompt.name, "c");
    break;
  }
  assert.equal(scripted.asked.length, 4);
});

test("executions are listed by what they are like", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("ListExecutions", create(ListExecutionsResponseSchema, { executions: [execution()] }));
  const since = new Date("2026-01-01T00:00:00Z");
  const filter = { statuses: ["failed"], mode: "async", version: 2, model: "echo/echo", startTime: since, full: true };
  const [found] = await all(scripted.connect().executions(filter));
  assert.equal(found?.id, ID);
  const [request] = scripted.requests(ExecutionService.method.listExecutions);
  assert.deepEqual(
    [request?.statuses, request?.mode, request?.versionNumber, request?.model?.provider, request?.startTime?.seconds],
    [[ExecutionStatus.FAILED], ExecutionMode.ASYNC, 2, "echo", BigInt(since.getTime() / 1_000)],
  );
});

test("batches of any size are got", async (t) => {
  const scripted = await Scripted.start(t);
  const names = Array.from({ length: 120 }, (_, number) => `p${String(number)}`);
  const answer = (
    found: string[],
    missing: string[],
    leftOut: string[],
  ): ReturnType<typeof create<typeof BatchGetPromptsResponseSchema>> =>
    create(BatchGetPromptsResponseSchema, { found: found.map((name) => ({ prompt: { name } })), missing, leftOut });
  scripted.on(
    "BatchGetPrompts",
    answer(names.slice(0, 90), ["p90"], names.slice(91, 100)),
    answer(names.slice(91), [], []),
  );
  const batch = await scripted.connect().prompts.batchGet(names, { label: "production" });
  assert.deepEqual(
    batch.found.map((prompt) => prompt.name),
    names.filter((name) => name !== "p90"),
  );
  assert.deepEqual(batch.missing, ["p90"]);
  const asked = scripted.requests(RegistryService.method.batchGetPrompts).map((request) => request.names);
  assert.deepEqual(asked, [names.slice(0, 100), names.slice(91)]);
});

test("a registered prompt is executed by the hash of its text", async (t) => {
  const scripted = await Scripted.start(t);
  const checksumHash = "ab".repeat(32);
  const registered = [{ name: "WELCOME", version: 3, checksumHash }];
  scripted.on("RegisterCodePrompts", create(RegisterCodePromptsResponseSchema, { registered }));
  scripted.on("ExecuteCodePrompt", create(ExecuteCodePromptResponseSchema, { execution: execution() }));
  const ledger = scripted.connect();
  await ledger.registerCodePrompts({ WELCOME: "Hello {{name}}" }, { dryRun: true, setActive: false });
  await ledger.execute("WELCOME", { name: "Ada" });
  await ledger.registerCodePrompts({ WELCOME: "Hello {{name}}" }, { repository: "shop", commit: "4f2a" });
  await ledger.execute("WELCOME", { name: "Ada" });
  await ledger.execute("WELCOME", {}, { version: 2 });
  await ledger.run("WELCOME");
  assert.equal((await ledger.submit("WELCOME")).id, ID);
  const requests = scripted.requests(CodeRegistrationService.method.executeCodePrompt);
  const hashes = requests.map(({ spec }) => (spec?.selector.case === "checksumHash" ? spec.selector.value : ""));
  assert.deepEqual(hashes, ["", checksumHash, "", checksumHash, checksumHash]);
  const { SYNC, ASYNC } = ExecutionMode;
  assert.deepEqual(
    requests.map((request) => request.mode),
    [SYNC, SYNC, SYNC, SYNC, ASYNC],
  );
  assert.notEqual(requests[4]?.spec?.idempotencyKey, "");
  assert.equal(scripted.requests(CodeRegistrationService.method.registerCodePrompts)[1]?.source?.commit, "4f2a");
});

test("a client for tracking alone executes prompts that are in code", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("ExecuteCodePrompt", create(ExecuteCodePromptResponseSchema, { execution: execution() }));
  const ledger = scripted.connect({ mode: "tracking_only" });
  await ledger.run("WELCOME", undefined, { messages: [{ role: "user", content: "Hi" }] });
  const [request] = scripted.requests(CodeRegistrationService.method.executeCodePrompt);
  assert.equal(request?.spec?.messages[0]?.content, "Hi");
  assert.equal(request.spec.variables, undefined);
});
