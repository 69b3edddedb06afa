/** Against a server that sends what no server should, and a user who lets go of what was begun. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { create } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";

import { Internal, LedgerError } from "../src/index.ts";
import {
  BatchGetPromptsResponseSchema,
  GetExecutionResponseSchema,
  ListPromptsResponseSchema,
  RunExecutionResponseSchema,
} from "../src/proto.ts";
import { dateOf } from "../src/records/common.ts";
import { end, execution, ID, watched } from "./support/events.ts";
import { all, DROP, HANG, refusal, Scripted } from "./support/scripted.ts";

const RAN = create(RunExecutionResponseSchema, { execution: execution() });
const FOUND = create(GetExecutionResponseSchema, { execution: execution() });

test("a server that gets no further is asked no more", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("ListPrompts", create(ListPromptsResponseSchema, { nextPageToken: "2" }));
  scripted.on("BatchGetPrompts", create(BatchGetPromptsResponseSchema, { leftOut: ["a", "b"] }));
  const ledger = scripted.connect();
  await assert.rejects(all(ledger.prompts.list()), Internal);
  await assert.rejects(ledger.prompts.batchGet(["a", "b"]), Internal);
  assert.equal(scripted.asked.length, 3);
});

test("a time may have no end", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("GetExecution", FOUND);
  scripted.on("RunExecution", RAN);
  scripted.on("WatchExecution", watched(end(1)));
  const endless = { timeoutMs: Infinity, patienceMs: Infinity, silenceMs: Infinity };
  const ledger = scripted.connect(endless);
  assert.equal((await ledger.handle(ID).get()).id, ID);
  assert.equal((await ledger.handle(ID).result({ timeoutMs: Infinity })).id, ID);
  assert.equal((await ledger.run("greet", {}, { deadlineMs: Infinity })).id, ID);
  assert.equal((await ledger.run("greet", {}, { timeoutMs: 1e12 })).id, ID);
});

test("a delay and a time that no clock has harm nobody", async (t) => {
  for (const seconds of [-(2n ** 63n), 2n ** 63n - 1n]) {
    const scripted = await Scripted.start(t);
    const retryMs = Number(seconds) * 1_000;
    scripted.on("GetExecution", refusal(Code.InvalidArgument, "TEMPLATE_INVALID", { retrySeconds: seconds }));
    await assert.rejects(
      scripted.connect().handle(ID).get(),
      (error) => error instanceof LedgerError && error.retryAfterMs === retryMs,
    );
    const at = dateOf(create(TimestampSchema, { seconds, nanos: -1 }));
    assert.match(at?.toISOString() ?? "", /^[+-]27\d{4}-/);
  }
});

/** What nobody waits for must not end the process, as a rejection that nobody handles does. */
test("what is left behind rejects nowhere", async (t) => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): unknown => unhandled.push(reason);
  process.on("unhandledRejection", note);
  t.after(() => process.off("unhandledRejection", note));
  const scripted = await Scripted.start(t);
  scripted.on("GetExecution", HANG);
  scripted.on("WatchExecution", [HANG]);
  scripted.on("WatchExecutions", refusal(Code.Unavailable, "DRAINING", { retryMs: 3_600_000 }));
  scripted.on("StreamExecution", [HANG]);
  scripted.on("WatchPrompts", refusal(Code.Unauthenticated, "KEY_INVALID"), DROP, [HANG]);
  const abort = new AbortController();
  const ledger = scripted.connect();
  for (let round = 0; round < 3; round += 1) {
    ledger.promptCache();
    const updates = ledger.watch(ID);
    const reads = [
      updates.next(),
      ledger.tail({ signal: abort.signal }).next(),
      ledger.stream("greet", {}, { signal: abort.signal }).result(),
      ledger.handle(ID).get(),
      ledger.handle(ID).get({ signal: abort.signal }),
      ledger.handle(ID).result({ timeoutMs: 1 }),
    ];
    // Whoever asked handles these; all else that they have begun must settle by itself.
    const settled = Promise.allSettled(reads);
    await ledger
      .handle(ID)
      .result({ timeoutMs: 50 })
      .catch(() => undefined);
    await updates.return();
    abort.abort(new Error("enough"));
    await ledger.close();
    assert.equal((await settled).length, reads.length);
  }
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  assert.deepEqual(unhandled, []);
});
