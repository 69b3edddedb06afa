import assert from "node:assert/strict";
import { test } from "node:test";

import { create } from "@bufbuild/protobuf";

import type { TailUpdate } from "../../src/index.ts";
import { type ExecutionEvent, type WatchExecutionsRequest, WatchExecutionsRequestSchema } from "../../src/proto.ts";
import { Tailer } from "../../src/steps/tailer.ts";
import { execution, heartbeat, snapshot, state, tailSynced, unknown } from "../support/events.ts";

function tailer(remembered?: number): Tailer {
  const made = new Tailer(create(WatchExecutionsRequestSchema, { promptName: "greet" }), remembered);
  made.begins();
  return made;
}

function told(of: Tailer, ...events: ExecutionEvent[]): string[] {
  const updates: TailUpdate[] = [];
  for (const event of events) {
    of.take(event, updates);
  }
  return updates.map((update) => {
    switch (update.kind) {
      case "found":
        return `found ${String(update.sequence)}`;
      case "changed":
        return `changed ${update.change.executionId.slice(0, 1)}${String(update.change.sequence)}`;
      case "synced":
        return "synced";
    }
  });
}

function since(of: Tailer): number | undefined {
  const at = (of.ask().request as WatchExecutionsRequest).since;
  return at === undefined ? undefined : Number(at.seconds);
}

test("what was seen is dropped, also out of order", () => {
  const found = snapshot(3, { found: execution("RUNNING") });
  const changes = [3, 5, 4, 5, 6].map((sequence) => state(sequence, "RUNNING"));
  assert.deepEqual(told(tailer(), found, found, ...changes, snapshot(5, { found: execution() })), [
    "found 3",
    "changed 05",
    "changed 04",
    "changed 06",
  ]);
});

test("a snapshot stands for all changes up to it", () => {
  const later = snapshot(5, { found: execution() });
  assert.deepEqual(told(tailer(), state(2, "RUNNING"), later, state(4, "RUNNING")), ["changed 02", "found 5"]);
});

test("what is remembered is bounded", () => {
  const of = tailer(2);
  const change = (executionId: string, sequence: number): ExecutionEvent => state(sequence, "RUNNING", { executionId });
  told(of, ...["a", "b", "c", "d", "e"].map((id) => change(id, 1)));
  assert.deepEqual(told(of, change("e", 1), change("d", 1)), [], "the most recent ones are known");
  assert.deepEqual(told(of, change("a", 1)), ["changed a1"], "the earliest one was forgotten");
  const apart = Array.from({ length: 100 }, (_, index) => change("e", 2 * index + 3));
  assert.equal(told(of, ...apart).length, 100);
  assert.deepEqual(told(of, change("e", 4)), [], "beyond 64 apart, the lowest count as told");
});

test("since moves only on a stream that is synced, and never back", () => {
  const of = tailer();
  told(of, state(1, "RUNNING", { at: 10 }));
  assert.equal(since(of), undefined);
  told(of, tailSynced(30));
  assert.equal(since(of), 10);
  told(of, state(2, "RUNNING", { at: 20 }), state(3, "RUNNING", { at: 15 }));
  assert.equal(since(of), 20);
  of.begins();
  told(of, state(4, "RUNNING", { at: 40 }));
  assert.equal(since(of), 20);
});

test("synced is told once; signs of life and what is not known say nothing", () => {
  const of = tailer();
  assert.deepEqual(told(of, tailSynced(1), heartbeat(0), unknown(0)), ["synced"]);
  of.begins();
  assert.deepEqual(told(of, tailSynced(2)), []);
  assert.equal(of.take(heartbeat(0), []), "news");
  assert.equal(of.take(unknown(0), []), "nothing");
});
