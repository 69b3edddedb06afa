import assert from "node:assert/strict";
import { test } from "node:test";

import { MessageBuffer, sizeOf } from "../../src/steps/buffer.ts";
import { text } from "../support/events.ts";

test("messages come out as they went in", () => {
  const buffer = new MessageBuffer<{ n: number }>();
  const taken: (number | undefined)[] = [];
  for (let n = 0; n < 3_000; n += 1) {
    assert.ok(buffer.put({ n }));
    if (n % 3 !== 0) {
      taken.push(buffer.take()?.n);
    }
  }
  for (let message = buffer.take(); message !== undefined; message = buffer.take()) {
    taken.push(message.n);
  }
  assert.deepEqual(
    taken,
    Array.from({ length: 3_000 }, (_, n) => n),
  );
  assert.ok(buffer.isEmpty);
});

test("it has room for 1,024 messages and 8 MiB, and for one that is larger alone", () => {
  const many = new MessageBuffer<object>();
  assert.equal(Array.from({ length: 2_000 }, () => many.put({})).filter(Boolean).length, 1_024);
  many.take();
  assert.deepEqual([many.put({}), many.put({})], [true, false]);

  const large = new MessageBuffer<{ text: string }>();
  const mebibyte = { text: "x".repeat(1_024 * 1_024) };
  assert.equal(
    Array.from({ length: 20 }, () => large.put(mebibyte)).filter(Boolean).length,
    7,
    "their fields count too",
  );

  const single = new MessageBuffer<{ text: string }>();
  assert.deepEqual([single.put({ text: "x".repeat(9 * 1_024 * 1_024) }), single.put({ text: "" })], [true, false]);
});

test("a message's size is that of its texts and bytes, and something for its fields", () => {
  assert.ok(sizeOf(text(1, 0, "x".repeat(1_000))) - sizeOf(text(1, 0, "")) === 1_000);
  assert.equal(sizeOf({ bytes: new Uint8Array(100) }), 108);
  assert.equal(sizeOf([null, 1n, true]), 32);
});
