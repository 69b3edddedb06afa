/** A long stream keeps nothing of what was read. */

import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { execution, snapshot, tailed } from "./support/events.ts";
import { following, HANG, Scripted } from "./support/scripted.ts";

test("what was read of an open stream is not kept", async (t) => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const scripted = await Scripted.start(t);
  const count = 200;
  const found = Array.from({ length: count }, (_, index) => snapshot(index + 1, { found: execution("RUNNING") }));
  scripted.on("WatchExecutions", [...tailed(...found), HANG]);
  const tail = scripted.connect().tail();
  const messages: WeakRef<object>[] = [];
  while (messages.length < count) {
    const update = await following(tail);
    assert.ok(update.kind === "found");
    messages.push(new WeakRef(update.execution.raw));
  }
  await turn();
  collect();
  const kept = messages.filter((message) => message.deref() !== undefined).length;
  assert.ok(kept < 10, `${String(kept)} messages of ${String(count)} are kept`);
  await tail.close();
});
