/** One stream, read ahead. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ServerStream } from "../src/io/stream.ts";

/** Tells its messages, and then nothing. */
async function* saying(...messages: readonly string[]): AsyncGenerator<string, void, undefined> {
  yield* messages;
  await new Promise(() => undefined);
}

function busyFor(milliseconds: number): void {
  for (const until = performance.now() + milliseconds; performance.now() < until;);
}

test("a stream is silent when its time is over, and it was waited for", async (t) => {
  const stream = new ServerStream(() => Promise.resolve(saying("one")), true);
  t.after(() => {
    stream.close();
  });
  busyFor(30);
  assert.equal(stream.silentIn(20), 20, "what has come meanwhile is read first");
  assert.deepEqual(await stream.next(10_000), { message: "one" });
  while (stream.silentIn(20) > 0) {
    assert.equal(await stream.next(5), undefined);
  }
  assert.ok(stream.silentIn(60_000) < 60_000 - 19, "of a longer silence that much is over");
});
