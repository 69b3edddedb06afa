/** Calls that answer once, against a server that misbehaves on command. */

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { inspect } from "node:util";

import { context, propagation, trace, TraceFlags } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";

import {
  ClientClosed,
  DeadlineExceeded,
  ExecutionFailed,
  IdempotencyKeyReused,
  InvalidField,
  KeyInvalid,
  LedgerError,
  type Logger,
  NotFound,
  TooLarge,
  Unavailable,
  VariablesMissing,
} from "../src/index.ts";
import {
  ExecutionService,
  ExecutionStatus,
  GetExecutionResponseSchema,
  GetPromptResponseSchema,
  ListModelsResponseSchema,
  RunExecutionResponseSchema,
  SubmitExecutionResponseSchema,
} from "../src/proto.ts";
import { execution, ID } from "./support/events.ts";
import { DROP, HANG, KEY, type Refusal, refusal, Scripted } from "./support/scripted.ts";

const RAN = create(RunExecutionResponseSchema, { execution: execution("SUCCEEDED", "Hello Ada.") });
const SUBMITTED = create(SubmitExecutionResponseSchema, { executionId: ID, status: ExecutionStatus.QUEUED });
const FOUND = create(GetExecutionResponseSchema, { execution: execution() });
const PROMPT = create(GetPromptResponseSchema, { prompt: { name: "greet" } });

/** Keeps what it is told. */
class Told implements Logger {
  readonly lines: string[] = [];
  debug = (line: string): unknown => this.lines.push(`debug ${line}`);
  info = (line: string): unknown => this.lines.push(`info ${line}`);
  warn = (line: string): unknown => this.lines.push(`warn ${line}`);
}

test("a run answers the execution", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("RunExecution", RAN);
  const ran = await scripted.connect().run("greet", { name: "Ada", n: 3, tags: ["a", null, true], not: undefined });
  assert.deepEqual([ran.id, ran.status, ran.text, ran.reused], [ID, "succeeded", "Hello Ada.", false]);
  assert.equal(ran.raiseForStatus(), ran);
  const [asked] = scripted.asked;
  const [request] = scripted.requests(ExecutionService.method.runExecution);
  assert.deepEqual(request?.spec?.variables, { name: "Ada", n: 3, tags: ["a", null, true] });
  assert.equal(request.spec.idempotencyKey, "");
  assert.deepEqual([asked?.headers.get("x-api-key"), asked?.headers.has("x-ledger-project")], [KEY, false]);
  assert.match(asked?.headers.get("user-agent") ?? "", /^prompt-ledger-typescript\//);
  assert.ok(!asked?.headers.has("grpc-accept-encoding"), "nothing is compressed");
});

test("the deadline of a run covers its attempts, and other calls have thirty seconds", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("RunExecution", RAN);
  scripted.on("GetExecution", FOUND);
  const ledger = scripted.connect();
  for (const options of [{}, { timeoutMs: 20_000, maxRetries: 2 }, { deadlineMs: 40_000 }]) {
    await ledger.run("greet", {}, options);
  }
  await ledger.handle(ID).get();
  await ledger.handle(ID).get({ deadlineMs: 20_000 });
  const sent = scripted.asked.map((asked) => (asked.timeout ?? 0) / 1_000);
  const limits = [130, 20 * 3 + 35 + 10, 40, 30, 20];
  // What was left of it when the call was made.
  assert.deepEqual(
    sent.map((seconds, index) => seconds <= (limits[index] ?? 0) && seconds > (limits[index] ?? 0) - 8),
    [true, true, true, true, true],
    String(sent),
  );
});

suite("a read is repeated while the failure may pass", () => {
  const table: [Refusal, number][] = [
    [refusal(Code.Unavailable, "STORE_UNAVAILABLE"), 3],
    [refusal(Code.Unavailable, "DRAINING", { retryMs: 10 }), 3],
    [refusal(Code.Unavailable), 3],
    [refusal(Code.Internal), 3],
    [refusal(Code.Unknown), 3],
    [refusal(Code.Canceled), 3],
    [refusal(Code.ResourceExhausted, "OVERLOADED", { retryMs: 10 }), 3],
    [refusal(Code.ResourceExhausted, "RATE_LIMITED", { retryMs: 10 }), 3],
    [refusal(Code.ResourceExhausted, "TOO_LARGE"), 1],
    [refusal(Code.Internal, "INTERNAL"), 1],
    [refusal(Code.NotFound, "EXECUTION_NOT_FOUND"), 1],
    [refusal(Code.Unauthenticated, "KEY_INVALID"), 1],
  ];
  for (const [refused, times] of table) {
    test(`${Code[refused.code]} ${refused.reason ?? ""}`, async (t) => {
      const scripted = await Scripted.start(t);
      scripted.on("GetExecution", refused, refused, FOUND);
      const get = scripted.connect().handle(ID).get();
      if (times === 1) {
        await assert.rejects(get, { reason: refused.reason });
      } else {
        assert.equal((await get).id, ID);
      }
      assert.equal(scripted.asked.length, times);
    });
  }
});

test("a submit keeps its key over its repeats, and the next one has another", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on(
    "SubmitExecution",
    refusal(Code.Unavailable),
    refusal(Code.Unavailable, "DRAINING", { retryMs: 10 }),
    SUBMITTED,
  );
  const ledger = scripted.connect();
  const handle = await ledger.submit("greet", { name: "Ada" });
  assert.deepEqual([handle.id, handle.status, handle.reused], [ID, "queued", false]);
  await ledger.submit("greet", { name: "Ada" });
  await ledger.submit("greet", {}, { idempotencyKey: "order-1" });
  const keys = scripted.requests(ExecutionService.method.submitExecution).map((each) => each.spec?.idempotencyKey);
  assert.equal(new Set(keys.slice(0, 3)).size, 1);
  assert.notEqual(keys[0], keys[3]);
  assert.equal(keys[4], "order-1");
  assert.match(keys[0] ?? "", /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

suite("a run without a key is repeated only where nothing began", () => {
  const table: [Refusal, string, number][] = [
    [refusal(Code.Unavailable), "", 1],
    [refusal(Code.Unavailable, "STORE_UNAVAILABLE", { retryMs: 10 }), "", 1],
    [refusal(Code.ResourceExhausted, "RATE_LIMITED", { retryMs: 10 }), "", 1],
    [refusal(Code.ResourceExhausted, "OVERLOADED", { retryMs: 10, metadata: { execution_id: ID } }), "", 1],
    [refusal(Code.ResourceExhausted, "OVERLOADED", { retryMs: 10 }), "", 2],
    [refusal(Code.Unavailable, "DRAINING", { retryMs: 10 }), "", 2],
    [refusal(Code.Unavailable), "order-1", 2],
    [refusal(Code.Unavailable, "STORE_UNAVAILABLE", { retryMs: 10 }), "order-1", 2],
  ];
  for (const [refused, idempotencyKey, times] of table) {
    test(`${Code[refused.code]} ${refused.reason ?? ""} ${idempotencyKey}`, async (t) => {
      const scripted = await Scripted.start(t);
      scripted.on("RunExecution", refused, RAN);
      const run = scripted.connect().run("greet", {}, { idempotencyKey });
      await (times === 1 ? assert.rejects(run, LedgerError) : run);
      assert.equal(scripted.asked.length, times);
    });
  }
});

test("what finds no connection is repeated until its deadline", async (t) => {
  const logger = new Told();
  const scripted = await Scripted.start(t);
  // Nobody listens there.
  const ledger = scripted.connect({ server: "http://127.0.0.1:1", logger, timeoutMs: 8_000 });
  // The last attempt may find the deadline first; it says what was before.
  const isAway = (error: unknown): boolean =>
    (error instanceof Unavailable || error instanceof DeadlineExceeded) && error.message.includes("ECONNREFUSED");
  await Promise.all([
    assert.rejects(ledger.prompts.get("greet"), isAway),
    assert.rejects(ledger.run("greet", {}, { deadlineMs: 8_000 }), isAway),
  ]);
  for (const method of ["GetPrompt", "RunExecution"]) {
    assert.ok(
      logger.lines.some((line) => line.startsWith(`info ${method}: UNAVAILABLE, again in`)),
      method,
    );
  }
});

test("a connection that breaks under a call is no answer: a read is repeated, a run without a key is not", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("GetExecution", [DROP], FOUND);
  scripted.on("RunExecution", [DROP], RAN);
  const ledger = scripted.connect();
  assert.equal((await ledger.handle(ID).get()).id, ID);
  await assert.rejects(ledger.run("greet"), (error) => error instanceof Unavailable && error.reason === "");
  assert.equal(scripted.asked.length, 3);
});

test("a call that is not answered ends at its deadline", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("GetPrompt", [HANG]);
  await assert.rejects(scripted.connect({ timeoutMs: 200 }).prompts.get("greet"), DeadlineExceeded);
});

test("a call that a server ends at its deadline has met its deadline", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("GetPrompt", refusal(Code.Unavailable, "DRAINING", { retryMs: 10 }), [HANG]);
  await assert.rejects(
    scripted.connect({ timeoutMs: 7_000 }).prompts.get("greet"),
    (error) =>
      error instanceof DeadlineExceeded && error.message === "the deadline passed; the attempt before: said so",
  );
});

test("writes that cannot be done twice are not", async (t) => {
  const scripted = await Scripted.start(t);
  const { prompts } = scripted.connect();
  scripted.on("PutPrompt", refusal(Code.Unavailable));
  scripted.on("RemoveLabel", refusal(Code.Unavailable));
  await assert.rejects(prompts.put("greet", "Hi", { etag: "e" }), Unavailable);
  await assert.rejects(prompts.put("greet", "Hi", { createOnly: true }), Unavailable);
  await assert.rejects(prompts.unlabel("greet", "production"), Unavailable);
  assert.equal(scripted.asked.length, 3);
});

test("what the server refuses is an error of its reason", async (t) => {
  const scripted = await Scripted.start(t);
  const fields = { "variables.name": "is missing", "variables.company": "is missing" };
  scripted.on(
    "RunExecution",
    refusal(Code.InvalidArgument, "VARIABLES_MISSING", { fields, metadata: { prompt: "greet" } }),
    refusal(Code.NotFound, "TEAPOT_NOT_FOUND", { metadata: { teapot: "blue" } }),
    refusal(Code.AlreadyExists, "IDEMPOTENCY_KEY_REUSED", { metadata: { execution_id: ID } }),
    refusal(Code.ResourceExhausted, "TOO_LARGE", { retryMs: 1_500 }),
  );
  const ledger = scripted.connect();
  const failed = async (): Promise<LedgerError> => {
    try {
      await ledger.run("greet");
    } catch (error) {
      assert.ok(error instanceof LedgerError);
      return error;
    }
    throw new Error("it did not fail");
  };
  const missing = await failed();
  assert.ok(missing instanceof VariablesMissing && missing.name === "VariablesMissing");
  assert.deepEqual(
    [missing.missing, missing.fields, missing.metadata],
    [["company", "name"], fields, { prompt: "greet" }],
  );
  assert.deepEqual(
    [missing.code, missing.reason, missing.message],
    ["INVALID_ARGUMENT", "VARIABLES_MISSING", "said so"],
  );
  const newer = await failed();
  assert.equal(newer.constructor, NotFound);
  assert.deepEqual([newer.reason, newer.metadata], ["TEAPOT_NOT_FOUND", { teapot: "blue" }]);
  const reused = await failed();
  assert.ok(reused instanceof IdempotencyKeyReused && reused.executionId === ID);
  const large = await failed();
  assert.ok(large instanceof TooLarge && large.retryAfterMs === 1_500);
});

test("what cannot be sent is an error before anything is sent", async (t) => {
  const scripted = await Scripted.start(t);
  const ledger = scripted.connect();
  await assert.rejects(
    ledger.run("greet", { n: NaN }),
    (error) => error instanceof InvalidField && "variables.n" in error.fields,
  );
  await assert.rejects(ledger.run("greet", {}, { version: 1, label: "production" }), { name: "InvalidOptions" });
  await assert.rejects(ledger.run("greet", {}, { deadlineMs: 0 }), { name: "InvalidOptions" });
  assert.equal(scripted.asked.length, 0);
});

test("the key is in nothing that is printed", async (t) => {
  const scripted = await Scripted.start(t);
  const logger = new Told();
  scripted.on("GetExecution", refusal(Code.Unauthenticated, "KEY_INVALID"), refusal(Code.Unavailable), FOUND);
  const ledger = scripted.connect({ logger });
  let refused: unknown;
  await ledger
    .handle(ID)
    .get()
    .catch((error: unknown) => {
      refused = error;
    });
  await ledger.handle(ID).get();
  assert.ok(refused instanceof KeyInvalid);
  const everything = [ledger, ledger.prompts, ledger.raw, ledger.handle(ID), ledger.watch(ID), refused, logger.lines];
  const shown = inspect(everything, { depth: Infinity, showHidden: true });
  assert.ok(
    !shown.includes("secret") && !String(ledger).includes("secret") && !JSON.stringify(ledger).includes("secret"),
  );
  assert.ok(logger.lines.some((line) => line.startsWith("info GetExecution: UNAVAILABLE, again in")));
  assert.ok(logger.lines.some((line) => line.startsWith("debug GetExecution: OK after")));
  assert.ok(logger.lines.some((line) => line.startsWith("debug GetExecution: KEY_INVALID after")));
});

test("a failed execution is a result", async (t) => {
  const scripted = await Scripted.start(t);
  const failed = execution("FAILED", "", { errorType: "timeout", errorMessage: "the model did not answer" });
  scripted.on("RunExecution", create(RunExecutionResponseSchema, { execution: failed, reused: true }));
  const ran = await scripted.connect().run("greet");
  assert.deepEqual([ran.status, ran.succeeded, ran.reused], ["failed", false, true]);
  assert.throws(
    () => ran.raiseForStatus(),
    (error) =>
      error instanceof ExecutionFailed && error.execution === ran && error.message.includes("failed: the model did"),
  );
});

test("a project, and the raw stubs", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("ListModels", create(ListModelsResponseSchema, { nextPageToken: "more" }));
  const answer = await scripted.connect({ project: "shop" }).raw.registry.listModels({});
  assert.equal(answer.nextPageToken, "more");
  const headers = scripted.asked[0]?.headers;
  assert.deepEqual([headers?.get("x-api-key"), headers?.get("x-ledger-project")], [KEY, "shop"]);
});

test("the trace context is sent", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("GetPrompt", PROMPT);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const span = {
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "b7ad6b7169203331",
    traceFlags: TraceFlags.SAMPLED,
  };
  const { prompts } = scripted.connect();
  await context.with(trace.setSpanContext(context.active(), span), () => prompts.get("greet"));
  await prompts.get("greet");
  propagation.disable();
  const sent = scripted.asked.map((asked) => asked.headers.get("traceparent"));
  assert.deepEqual(sent, [`00-${span.traceId}-${span.spanId}-01`, null]);
});

test("a closed client says so, and closing ends what is under way", async (t) => {
  const scripted = await Scripted.start(t);
  const arrived = Promise.withResolvers<undefined>();
  scripted.on("GetExecution", [
    () => {
      arrived.resolve(undefined);
    },
    HANG,
  ]);
  scripted.on("GetPrompt", refusal(Code.Unavailable, "DRAINING", { retryMs: 20_000 }));
  const ledger = scripted.connect();
  const under = assert.rejects(ledger.handle(ID).get(), ClientClosed);
  const waiting = assert.rejects(ledger.prompts.get("greet"), ClientClosed);
  await arrived.promise;
  await ledger.close();
  await Promise.all([under, waiting]);
  await assert.rejects(ledger.handle(ID).get(), ClientClosed);
});

test("an aborted signal ends its call with its reason", async (t) => {
  const scripted = await Scripted.start(t);
  const arrived = Promise.withResolvers<undefined>();
  scripted.on("GetExecution", [
    () => {
      arrived.resolve(undefined);
    },
    HANG,
  ]);
  scripted.on("GetPrompt", refusal(Code.Unavailable, "DRAINING", { retryMs: 20_000 }));
  const ledger = scripted.connect();
  const controller = new AbortController();
  const reason = new Error("the visitor has left");
  const { signal } = controller;
  const under = assert.rejects(ledger.handle(ID).get({ signal }), reason);
  const waiting = assert.rejects(ledger.prompts.get("greet", { signal }), reason);
  await arrived.promise;
  controller.abort(reason);
  await Promise.all([under, waiting, scripted.hungUp.promise]);
  const calls = scripted.asked.length;
  await assert.rejects(ledger.prompts.get("greet", { signal }), reason);
  assert.equal(scripted.asked.length, calls, "nothing is sent once it is aborted");
});
