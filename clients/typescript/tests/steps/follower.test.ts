import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { create } from "@bufbuild/protobuf";

import type { Update } from "../../src/index.ts";
import { type ExecutionEvent, ExecutionSpecSchema, type WatchExecutionRequest } from "../../src/proto.ts";
import { Follower } from "../../src/steps/follower.ts";
import type { Taken } from "../../src/steps/machine.ts";
import { end, heartbeat, ID, snapshot, state, text, unknown } from "../support/events.ts";

class Followed {
  readonly follower: Follower;

  constructor(after = 0) {
    this.follower = new Follower({ executionId: ID, after });
  }

  take(...events: ExecutionEvent[]): { taken: Taken; updates: Update[] } {
    const updates: Update[] = [];
    let taken: Taken = "nothing";
    for (const event of events) {
      taken = this.follower.take(event, updates);
    }
    return { taken, updates };
  }

  get cursor(): number {
    return Number((this.follower.ask().request as WatchExecutionRequest).afterSequence);
  }
}

function texts(updates: Update[]): string[] {
  return updates.flatMap((update) => (update.kind === "text" ? [update.text] : []));
}

test("the cursor moves with every kind but a snapshot", () => {
  const table: [ExecutionEvent[], number][] = [
    [[snapshot(9)], 0],
    [[state(1, "QUEUED")], 1],
    [[state(1, "QUEUED"), unknown(2)], 2],
    [[heartbeat(5)], 5],
    [[heartbeat(5), heartbeat(3)], 5],
    [[text(1, 0, "x")], 0],
  ];
  for (const [events, cursor] of table) {
    const followed = new Followed();
    followed.take(...events);
    assert.equal(followed.cursor, cursor);
  }
});

test("a gap breaks the stream", () => {
  assert.equal(new Followed().take(state(2, "RUNNING")).taken, "gap");
  assert.equal(new Followed().take(text(1, 3, "x")).taken, "gap");
  assert.equal(new Followed(2).take(state(3, "RUNNING")).taken, "news");
  assert.deepEqual(new Followed(2).take(state(2, "RUNNING")), { taken: "nothing", updates: [] });
});

test("text that comes again is told once", () => {
  const followed = new Followed();
  const { updates } = followed.take(text(1, 0, "häl"), text(1, 0, "häll"), text(1, 5, "o"), text(1, 2, "x"));
  assert.deepEqual(texts(updates), ["häl", "l", "o"]);
  const emoji = new Followed().take(text(1, 0, "👋"), text(1, 0, "👋🏽 hi"));
  assert.deepEqual(texts(emoji.updates), ["👋", "🏽 hi"]);
  const marked = new Followed().take(text(1, 0, "a"), text(1, 0, "a\ufeffb"));
  assert.deepEqual(texts(marked.updates), ["a", "\ufeffb"], "a byte order mark is text");
  assert.equal(
    new Followed().take(text(1, 0, "a"), text(1, 0, "ä")).taken,
    "gap",
    "within a character: the texts differ",
  );
});

test("another attempt restarts the text", () => {
  const { updates } = new Followed().take(text(1, 0, "one"), text(2, 0, "two"), text(1, 3, "late"));
  assert.deepEqual(texts(updates), ["one", "two"]);
  assert.ok(updates.some((update) => update.kind === "restarted" && update.attempt === 2));
  const fresh = new Followed().take(text(2, 0, "two")).updates;
  assert.ok(!fresh.some((update) => update.kind === "restarted"), "nothing was told before");
});

suite("at the end the text is the response", () => {
  const table: [string, string[], string, number, boolean, string[]][] = [
    ["nothing was streamed", [], "all of it", 1, false, ["all of it"]],
    ["a part was", ["all "], "all of it", 1, false, ["all ", "of it"]],
    ["all was", ["all of it"], "all of it", 1, false, ["all of it"]],
    ["another text was", ["other"], "all of it", 1, true, ["other", "all of it"]],
    ["more was", ["all of it, and more"], "all of it", 1, true, ["all of it, and more", "all of it"]],
    ["of another attempt", ["all "], "all of it", 2, true, ["all ", "all of it"]],
    ["it failed", ["part"], "", 1, false, ["part"]],
    ["characters of several bytes", ["grüß"], "grüße", 1, false, ["grüß", "e"]],
  ];
  for (const [name, before, response, attempt, restarts, told] of table) {
    test(name, () => {
      const deltas = before.map((piece) => text(1, 0, piece));
      const { taken, updates } = new Followed().take(...deltas, end(1, response, { attempt }));
      assert.equal(taken, "over");
      assert.deepEqual(texts(updates), told);
      assert.equal(
        updates.some((update) => update.kind === "restarted"),
        restarts,
      );
      assert.equal(updates.at(-1)?.kind, "ended");
    });
  }
});

test("an end that came before is an end", () => {
  const { taken, updates } = new Followed(3).take(end(3, "hi"));
  assert.deepEqual([taken, ...updates.map((update) => update.kind)], ["over", "text", "ended"]);
});

test("an end without its execution cannot be read", () => {
  assert.equal(new Followed().take(state(1, "SUCCEEDED", { terminal: true })).taken, "unreadable");
});

test("that it was joined is told once", () => {
  const { updates } = new Followed().take(snapshot(0, { reused: true }), snapshot(0, { reused: true }), end(1));
  assert.deepEqual(
    updates.map((update) => update.kind),
    ["joined", "stateChanged", "ended"],
  );
  const ended = updates.at(-1);
  assert.ok(ended?.kind === "ended" && ended.execution.reused);
});

test("what it asks for", () => {
  const spec = create(ExecutionSpecSchema, { promptName: "greet" });
  const asks = (follower: Follower): string => follower.ask().method.name;
  const follower = new Follower({ spec, tracking: false });
  assert.deepEqual([asks(follower), follower.resumes], ["StreamExecution", false]);
  assert.equal(asks(new Follower({ spec, tracking: true })), "StreamCodePrompt");
  const keyed = new Follower({ spec: create(ExecutionSpecSchema, { idempotencyKey: "k" }), tracking: false });
  assert.ok(keyed.resumes);
  keyed.take(state(1, "RUNNING"), []);
  assert.deepEqual([asks(keyed), keyed.executionId], ["WatchExecution", ID]);
});
