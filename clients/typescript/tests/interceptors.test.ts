/** Interceptors of Connect around calls. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { create } from "@bufbuild/protobuf";
import { Code, type Interceptor } from "@connectrpc/connect";

import { ExecutionNotFound } from "../src/index.ts";
import { GetPromptResponseSchema } from "../src/proto.ts";
import { end, ID, snapshot, watched } from "./support/events.ts";
import { KEY, refusal, Scripted } from "./support/scripted.ts";

const PROMPT = create(GetPromptResponseSchema, { prompt: { name: "greet" } });

test("interceptors see each call, and no key", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("GetPrompt", refusal(Code.Unavailable), PROMPT);
  const seen: [string, string | null][] = [];
  const interceptor: Interceptor = (next) => (request) => {
    seen.push([request.method.name, request.header.get("x-api-key")]);
    request.header.set("x-mine", "yes");
    return next(request);
  };
  await scripted.connect({ interceptors: [interceptor] }).prompts.get("greet");
  assert.deepEqual(seen, [
    ["GetPrompt", null],
    ["GetPrompt", null],
  ]);
  assert.deepEqual(
    [scripted.asked[0]?.headers.get("x-mine"), scripted.asked[0]?.headers.get("x-api-key")],
    ["yes", KEY],
  );
});

test("an interceptor does not have the key when its call is over", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("GetPrompt", PROMPT);
  scripted.on("GetExecution", refusal(Code.NotFound, "EXECUTION_NOT_FOUND"));
  scripted.on("WatchExecution", watched(snapshot(1), end(1, "hi")));
  const requests: { readonly method: { readonly name: string }; readonly header: Headers }[] = [];
  const keys: (string | null)[] = [];
  const interceptor: Interceptor = (next) => async (request) => {
    requests.push(request);
    try {
      return await next(request);
    } finally {
      keys.push(request.header.get("x-api-key"));
    }
  };
  const ledger = scripted.connect({ interceptors: [interceptor] });
  await ledger.prompts.get("greet");
  await assert.rejects(ledger.handle(ID).get(), ExecutionNotFound);
  await ledger.handle(ID).result();
  keys.push(...requests.map(({ header }) => header.get("x-api-key")));
  assert.deepEqual(keys, [null, null, null, null, null, null]);
  const methods = ["GetPrompt", "GetExecution", "WatchExecution"];
  assert.deepEqual(
    requests.map(({ method }) => method.name),
    methods,
  );
  assert.deepEqual(
    scripted.asked.map(({ method, headers }) => [method, headers.get("x-api-key")]),
    methods.map((method) => [method, KEY]),
  );
});
