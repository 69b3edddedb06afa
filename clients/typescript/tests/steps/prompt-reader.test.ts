import assert from "node:assert/strict";
import { test } from "node:test";

import { create } from "@bufbuild/protobuf";

import { LedgerError, type StatusCode } from "../../src/index.ts";
import { PromptVersionSchema, type WatchPromptsRequest, type WatchPromptsResponse } from "../../src/proto.ts";
import { PromptReader, type PromptUpdate } from "../../src/steps/prompt-reader.ts";
import { Broken } from "../../src/steps/retry.ts";
import { promptsHeartbeat, promptState, synced } from "../support/events.ts";

/** A reader that has come so far. */
function reader(cursor = 0): PromptReader {
  const made = new PromptReader(["a"], "shop.");
  if (cursor > 0) {
    made.begins();
    made.take(synced(cursor), []);
  }
  made.begins();
  return made;
}

function told(of: PromptReader, ...messages: WatchPromptsResponse[]): string[] {
  const updates: PromptUpdate[] = [];
  for (const message of messages) {
    of.take(message, updates);
  }
  return updates.map(short);
}

function short(update: PromptUpdate): string {
  switch (update.kind) {
    case "put":
      return `put ${update.state.prompt?.name ?? ""}`;
    case "only":
      return `only ${[...update.names].join()}`;
    case "reached":
      return `reached ${String(update.revision)}`;
    default:
      return update.kind;
  }
}

function cursor(of: PromptReader): number {
  return Number((of.ask().request as WatchPromptsRequest).afterRevision);
}

test("from zero everything is told, and then synced", () => {
  const of = reader();
  const first = told(of, promptState("a", 0, [1]), promptsHeartbeat(0), promptState("b", 0, [2]), synced(7));
  assert.deepEqual(first, ["put a", "put b", "only a,b", "reached 7", "current"]);
  assert.deepEqual(told(of, promptsHeartbeat(7), promptState("c", 9, [])), ["current", "put c", "reached 9"]);
  const request = of.ask().request as WatchPromptsRequest;
  assert.deepEqual([request.names, request.namePrefix, cursor(of)], [["a"], "shop.", 9]);
});

test("a resumed stream is current at its first heartbeat", () => {
  const of = reader(5);
  assert.deepEqual(told(of, promptState("a", 6, [1])), ["put a", "reached 6"]);
  assert.deepEqual(told(of, promptsHeartbeat(6, true), promptsHeartbeat(6)), ["behind", "current"]);
});

test("parts of a state are put together, and dropped with their stream", () => {
  const of = reader(5);
  const rest = promptState("a", 6, []);
  assert.ok(rest.kind.case === "change");
  rest.kind.value.labelledVersions.push(create(PromptVersionSchema, { versionNumber: 3 }));
  assert.deepEqual(told(of, promptState("a", 0, [1], { more: true }), promptsHeartbeat(5)), []);
  const updates: PromptUpdate[] = [];
  of.take(rest, updates);
  const [put, reached] = updates;
  assert.ok(put?.kind === "put" && reached !== undefined);
  assert.deepEqual([put.state.activeVersion?.versionNumber, put.state.labelledVersions.length], [1, 1]);
  assert.equal(short(reached), "reached 6");
  told(of, promptState("a", 0, [1], { more: true }));
  of.begins();
  const again: PromptUpdate[] = [];
  of.take(promptState("a", 8, []), again);
  assert.ok(again[0]?.kind === "put" && again[0].state.activeVersion === undefined);
});

test("only what comes further or is current is progress", () => {
  const of = reader();
  const table = [
    [promptState("a", 0, [1]), "nothing"],
    [promptsHeartbeat(0), "nothing"],
    [synced(5), "news"],
    [promptsHeartbeat(5, true), "nothing"],
    [promptState("a", 6, [2]), "news"],
    [promptsHeartbeat(6), "news"],
  ] as const;
  for (const [message, taken] of table) {
    assert.equal(of.take(message, []), taken);
  }
});

test("how it breaks", () => {
  const table: [number, StatusCode, string, boolean, number][] = [
    [5, "OUT_OF_RANGE", "REVISION_AHEAD", true, 0],
    [5, "OUT_OF_RANGE", "EVENTS_COMPACTED", true, 0],
    [0, "OUT_OF_RANGE", "REVISION_AHEAD", false, 0],
    [5, "RESOURCE_EXHAUSTED", "TOO_MANY_WATCHERS", true, 5],
    [5, "INTERNAL", "INTERNAL", true, 5],
    [5, "UNIMPLEMENTED", "", true, 5],
    [5, "UNAVAILABLE", "DRAINING", false, 5],
    [5, "UNAUTHENTICATED", "KEY_INVALID", false, 5],
  ];
  for (const [before, code, reason, recovers, after] of table) {
    const of = reader(before);
    const updates: PromptUpdate[] = [];
    assert.equal(of.broke(new LedgerError("said so", { code, reason }), updates), recovers, reason);
    assert.deepEqual(updates.map(short), after < before ? ["behind", "reached 0"] : ["behind"]);
    assert.equal(cursor(of), after);
  }
  assert.equal(reader().broke(Broken.cut, []), false);
});
