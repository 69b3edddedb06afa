/** Watches, tails and streams, against a server whose streams break. */

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";

import {
  ClientClosed,
  DeadlineExceeded,
  type Execution,
  ExecutionNotFound,
  GaveUp,
  NotResumable,
  type TailUpdate,
  Unreadable,
  type Update,
} from "../src/index.ts";
import {
  ExecutionService,
  ExecutionStatus,
  ExecutionView,
  GetExecutionResponseSchema,
  StreamCodePromptResponseSchema,
} from "../src/proto.ts";
import {
  end,
  execution,
  heartbeat,
  ID,
  snapshot,
  state,
  streamed,
  tailed,
  tailSynced,
  text,
  watched,
} from "./support/events.ts";
import { all, DROP, following, HANG, type Item, refusal, Scripted } from "./support/scripted.ts";

const AGED = refusal(Code.Unavailable, "DRAINING", { retryMs: 10 });
const WATCH = ExecutionService.method.watchExecution;

/** Updates in short. */
function said(updates: readonly (Update | TailUpdate)[]): (string | number)[] {
  return updates.map((update) => {
    switch (update.kind) {
      case "text":
        return update.text;
      case "stateChanged":
        return update.sequence;
      case "ended":
        return `ended ${update.execution.status}`;
      default:
        return update.kind;
    }
  });
}

suite("a watch goes on where its stream broke", () => {
  const table: [string, Item[]][] = [
    ["aged", [AGED]],
    ["unavailable", [refusal(Code.Unavailable)]],
    ["too slow", [refusal(Code.Aborted, "SLOW_CONSUMER")]],
    ["reset", [refusal(Code.Internal)]],
    ["canceled", [refusal(Code.Canceled)]],
    ["cut", []],
    ["without a connection", [DROP, HANG]],
  ];
  for (const [name, broken] of table) {
    test(name, async (t) => {
      const scripted = await Scripted.start(t);
      const first = watched(
        snapshot(2),
        state(1, "QUEUED"),
        state(2, "RUNNING"),
        text(1, 0, "one "),
        text(1, 4, "two "),
      );
      const second = watched(snapshot(2), text(1, 0, "one two t"), text(1, 9, "hree"), end(3, "one two three"));
      const told = Promise.withResolvers<undefined>();
      scripted.on("WatchExecution", [...first, told.promise, ...broken], second);
      const updates = scripted.connect().watch(ID);
      const before = [
        await following(updates),
        await following(updates),
        await following(updates),
        await following(updates),
      ];
      told.resolve(undefined);
      assert.deepEqual(said([...before, ...(await all(updates))]), [
        1,
        2,
        "one ",
        "two ",
        "t",
        "hree",
        3,
        "ended succeeded",
      ]);
      assert.deepEqual([updates.text, updates.executionId], ["one two three", ID]);
      const cursors = scripted.requests(WATCH).map((request) => request.afterSequence);
      assert.deepEqual(cursors, [0n, 2n]);
    });
  }
});

test("silence is a break", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on(
    "WatchExecution",
    [...watched(snapshot(1), state(1, "QUEUED")), HANG],
    // The first may already be silent while it is opened: then this one tells all.
    watched(snapshot(2), state(1, "QUEUED"), end(2, "hi")),
  );
  const ledger = scripted.connect({ silenceMs: 500 });
  assert.deepEqual(said(await all(ledger.watch(ID))), [1, "hi", 2, "ended succeeded"]);
  await scripted.hungUp.promise;
});

test("silence is that of all reads together", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on(
    "WatchExecution",
    [...watched(snapshot(1), state(1, "QUEUED")), HANG],
    watched(snapshot(2), state(1, "QUEUED"), end(2, "hi")),
  );
  const updates = scripted.connect({ silenceMs: 300 }).watch(ID);
  const until = performance.now() + 30_000;
  let result: Execution | undefined;
  while (result === undefined && performance.now() < until) {
    result = await updates.result({ timeoutMs: 20 }).catch((error: unknown) => {
      assert.ok(error instanceof DeadlineExceeded, String(error));
      return undefined;
    });
  }
  assert.equal(result?.text, "hi");
});

test("a refusal is final", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("WatchExecution", refusal(Code.NotFound, "EXECUTION_NOT_FOUND"));
  const updates = scripted.connect().watch(ID);
  await assert.rejects(following(updates), ExecutionNotFound);
  assert.deepEqual(await all(updates), [], "nothing follows an error");
  assert.equal(scripted.asked.length, 1);
});

test("an end that is not known is an error", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("WatchExecution", watched(snapshot(1), state(1, "SUCCEEDED", { terminal: true })));
  await assert.rejects(scripted.connect().handle(ID).result(), Unreadable);
});

test("a watch gives up when patience ends", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("WatchExecution", watched(snapshot(0)));
  await assert.rejects(all(scripted.connect({ patienceMs: 300 }).watch(ID)), GaveUp);
  assert.ok(scripted.asked.length > 1);
});

test("a result is waited for in time", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("WatchExecution", watched(snapshot(1), end(1, "hi")), [...watched(snapshot(1)), HANG]);
  const handle = scripted.connect().handle(ID);
  assert.equal((await handle.result()).text, "hi");
  const hangingUp = scripted.hungUp.promise.then(() => true);
  let hasHungUp = false;
  // On a busy machine one may be given up before its watch has arrived.
  for (let tries = 0; !hasHungUp && tries < 30; tries += 1) {
    await assert.rejects(handle.result({ timeoutMs: 200 }), DeadlineExceeded);
    hasHungUp = await Promise.race([hangingUp, sleep(1_000, false)]);
  }
  assert.ok(hasHungUp);
});

test("updates can be read on after a result that took too long", async (t) => {
  const scripted = await Scripted.start(t);
  const more = Promise.withResolvers<undefined>();
  scripted.on("WatchExecution", [
    ...watched(snapshot(1), text(1, 0, "one ")),
    more.promise,
    ...watched(end(1, "one two")),
  ]);
  const updates = scripted.connect().watch(ID);
  await assert.rejects(updates.result({ timeoutMs: 300 }), DeadlineExceeded);
  more.resolve(undefined);
  const result = await updates.result();
  assert.deepEqual([result.text, updates.text, scripted.asked.length], ["one two", "one two", 1]);
  assert.equal(await updates.result(), result);
});

test("a result is not there where the updates were closed before", async (t) => {
  const scripted = await Scripted.start(t);
  const updates = scripted.connect().watch(ID);
  await updates.close();
  await assert.rejects(updates.result(), ClientClosed);
  assert.equal(scripted.asked.length, 0);
});

test("a stream gives text, and then the result", async (t) => {
  const scripted = await Scripted.start(t);
  const events = streamed(snapshot(1), text(1, 0, "Hello "), text(1, 6, "Ada."), end(1, "Hello Ada."));
  scripted.on("StreamExecution", events);
  const stream = scripted.connect().stream("greet", { name: "Ada" });
  assert.equal(scripted.asked.length, 0, "it begins with the first read");
  assert.deepEqual(await all(stream.texts()), ["Hello ", "Ada."]);
  const result = await stream.result();
  assert.deepEqual([result.text, stream.text], ["Hello Ada.", "Hello Ada."]);
});

test("a stream without a key breaks once it has begun", async (t) => {
  const scripted = await Scripted.start(t);
  const told = Promise.withResolvers<undefined>();
  const begun = [...streamed(snapshot(1), text(1, 0, "Hello ")), told.promise, refusal(Code.Unavailable)];
  scripted.on("StreamExecution", AGED, begun);
  const stream = scripted.connect().stream("greet");
  assert.deepEqual(said([await following(stream)]), ["Hello "]);
  told.resolve(undefined);
  await assert.rejects(following(stream), NotResumable);
  assert.equal(scripted.asked.length, 2, "nothing had begun at the first");
});

test("a stream with a key goes on as a watch", async (t) => {
  const scripted = await Scripted.start(t);
  const joined = streamed(snapshot(1, { reused: true }), state(1, "RUNNING"), text(1, 0, "Hello "));
  scripted.on("StreamExecution", refusal(Code.Unavailable), [...joined, refusal(Code.Internal)]);
  scripted.on("WatchExecution", watched(snapshot(1), text(1, 0, "Hello Ada."), end(2, "Hello Ada.")));
  const stream = scripted.connect().stream("greet", {}, { idempotencyKey: "k" });
  assert.deepEqual(said(await all(stream)), ["joined", 1, "Hello ", "Ada.", 2, "ended succeeded"]);
  const keys = scripted.requests(ExecutionService.method.streamExecution).map((each) => each.spec?.idempotencyKey);
  assert.deepEqual(keys, ["k", "k"]);
  assert.equal(scripted.requests(WATCH)[0]?.afterSequence, 1n);
});

test("leaving a loop hangs up", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("StreamExecution", [...streamed(snapshot(1), text(1, 0, "Hello ")), HANG]);
  const stream = scripted.connect().stream("greet");
  for await (const piece of stream.texts()) {
    assert.equal(piece, "Hello ");
    break;
  }
  await scripted.hungUp.promise;
  assert.deepEqual(await all(stream), []);
});

test("a stream of a prompt in code", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("StreamCodePrompt", [create(StreamCodePromptResponseSchema, { event: end(1, "hi") })]);
  const stream = scripted.connect({ mode: "tracking_only" }).stream("WELCOME");
  assert.equal((await stream.result()).text, "hi");
});

test("a reader that is too slow gets all of it by another stream", async (t) => {
  const scripted = await Scripted.start(t);
  const count = 1_500;
  const states = Array.from({ length: count }, (_, index) => state(index + 1, "RUNNING"));
  const read = Promise.withResolvers<undefined>();
  scripted.on(
    "WatchExecution",
    [...watched(snapshot(count), ...states.slice(0, 1)), read.promise, ...watched(...states.slice(1)), HANG],
    watched(snapshot(count), ...states.slice(1_000), end(count + 1)),
  );
  const updates = scripted.connect().watch(ID);
  assert.deepEqual(said([await following(updates)]), [1]);
  read.resolve(undefined);
  // The buffer is full by now: the server sees that its client hangs up.
  await scripted.hungUp.promise;
  const told = said(await all(updates));
  assert.deepEqual(told, [...states.slice(1).map((event) => Number(event.sequence)), count + 1, "ended succeeded"]);
  assert.equal(scripted.requests(WATCH)[1]?.afterSequence, 1_025n, "one that was read, and 1,024 of the buffer");
});

test("a slow reader of a stream without a key makes its server wait, and no other call", async (t) => {
  const scripted = await Scripted.start(t);
  // More than the buffer and the window of the stream have room for.
  const piece = "x".repeat(64 * 1_024);
  const pieces = Array.from({ length: 200 }, (_, index) => text(1, index * piece.length, piece));
  let sent = 0;
  const counted = streamed(...pieces).flatMap((each): Item[] => [() => (sent += 1), each]);
  scripted.on("StreamExecution", [...streamed(snapshot(1)), ...counted, ...streamed(end(1))]);
  scripted.on("GetExecution", create(GetExecutionResponseSchema, { execution: execution() }));
  const ledger = scripted.connect();
  const stream = ledger.stream("greet");
  await following(stream);
  for (let before = -1; before !== sent;) {
    before = sent;
    // Some time for the server to go on, where it could.
    await Promise.all(Array.from({ length: 20 }, () => ledger.handle(ID).get()));
  }
  assert.ok(sent < 200, `the server has sent ${String(sent)} pieces of 200`);
  assert.equal((await stream.result()).status, "succeeded");
  assert.equal(stream.text.length, 200 * piece.length);
  assert.equal(scripted.requests(ExecutionService.method.streamExecution).length, 1);
});

test("a tail tells each change once", async (t) => {
  const scripted = await Scripted.start(t);
  const first = [snapshot(2, { found: execution("RUNNING") }), tailSynced(1_000), state(3, "SUCCEEDED", { at: 2_000 })];
  scripted.on("WatchExecutions", [...tailed(...first), AGED], [...tailed(...first, state(4, "FAILED")), HANG]);
  const tail = scripted.connect().tail({ promptName: "greet", statuses: ["succeeded", "failed"], full: true });
  const told: TailUpdate[] = [];
  for await (const update of tail) {
    told.push(update);
    if (update.kind === "changed" && update.change.sequence === 4) {
      break;
    }
  }
  assert.deepEqual(said(told), ["found", "synced", "changed", "changed"]);
  await scripted.hungUp.promise;
  const [one, other] = scripted.requests(ExecutionService.method.watchExecutions);
  assert.deepEqual(one?.statuses, [ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED]);
  assert.deepEqual([one.view, one.since, other?.since?.seconds], [ExecutionView.FULL, undefined, 2_000n]);
});

test("closing the client ends its watches, also those that wait", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("WatchExecution", [...watched(snapshot(1), state(1, "QUEUED")), HANG]);
  scripted.on("WatchExecutions", refusal(Code.Unavailable, "DRAINING", { retryMs: 20_000 }));
  const ledger = scripted.connect();
  const updates = ledger.watch(ID);
  await following(updates);
  const reading = assert.rejects(following(updates), ClientClosed);
  const waiting = assert.rejects(following(ledger.tail()), ClientClosed);
  while (scripted.asked.length < 2) {
    await new Promise(setImmediate);
  }
  await ledger.close();
  await Promise.all([reading, waiting]);
  await assert.rejects(following(ledger.watch(ID)), ClientClosed);
});

test("an aborted signal ends a watch with its reason, once", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("WatchExecution", [...watched(snapshot(1), state(1, "QUEUED")), HANG]);
  const ledger = scripted.connect();
  const controller = new AbortController();
  const updates = ledger.watch(ID, { signal: controller.signal });
  await following(updates);
  const reason = new Error("the visitor has left");
  const reading = assert.rejects(following(updates), reason);
  controller.abort(reason);
  await reading;
  await scripted.hungUp.promise;
  assert.deepEqual(await all(updates), []);
  const calls = scripted.asked.length;
  await assert.rejects(following(ledger.watch(ID, { signal: controller.signal })), reason);
  await assert.rejects(ledger.handle(ID).result({ signal: controller.signal }), reason);
  assert.equal(scripted.asked.length, calls);
});

test("reads that are asked for at once are answered in turn", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("WatchExecution", watched(snapshot(0), state(1, "QUEUED"), state(2, "RUNNING"), end(3)));
  const updates = scripted.connect().watch(ID);
  const read = await Promise.all(Array.from({ length: 6 }, () => updates.next()));
  assert.deepEqual(said(read.flatMap(({ value }) => value ?? [])), [1, 2, 3, "ended succeeded"]);
});

test("signs of life keep a watch alive", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("WatchExecution", watched(snapshot(1), heartbeat(1), heartbeat(1), end(2, "hi")));
  const updates = scripted.connect().watch(ID, { afterSequence: 1 });
  assert.deepEqual(said(await all(updates)), ["hi", 2, "ended succeeded"]);
});
