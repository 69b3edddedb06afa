import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { GaveUp, type LedgerError, NotResumable, type StatusCode } from "../../src/index.ts";
import { classOf } from "../../src/io/status.ts";
import { Attempts, Broken, last, ofCall, ofStream, RetryWindow } from "../../src/steps/retry.ts";

function failure(code: StatusCode, reason = "", retryAfterMs?: number): LedgerError {
  return new (classOf(reason, code))("said so", { code, reason, retryAfterMs });
}

suite("what may pass is tried again, and what may not is final", () => {
  const table: [LedgerError | Broken, boolean, number?][] = [
    [failure("UNAVAILABLE", "DRAINING", 1_000), true, 1_000],
    [failure("UNAVAILABLE", "STORE_UNAVAILABLE"), true],
    [failure("UNAVAILABLE"), true],
    [failure("ABORTED", "SLOW_CONSUMER"), true],
    [failure("UNKNOWN"), true],
    [failure("INTERNAL"), true],
    [failure("CANCELLED"), true],
    [Broken.cut, true],
    [Broken.silent, true],
    [Broken.gap, true],
    [Broken.overflow, true],
    [failure("INTERNAL", "INTERNAL"), false],
    [failure("ABORTED", "ETAG_MISMATCH"), false],
    [failure("ABORTED"), false],
    [failure("NOT_FOUND", "EXECUTION_NOT_FOUND"), false],
    [failure("OUT_OF_RANGE", "SEQUENCE_AHEAD"), false],
    [failure("UNAUTHENTICATED", "KEY_INVALID"), false],
    [failure("RESOURCE_EXHAUSTED", "TOO_MANY_WATCHERS", 1_000), false],
    [failure("DEADLINE_EXCEEDED"), false],
    [failure("UNIMPLEMENTED"), false],
  ];
  for (const [broken, again, asked] of table) {
    test(typeof broken === "string" ? broken : `${broken.code} ${broken.reason}`, () => {
      const verdict = ofStream(broken);
      assert.deepEqual([verdict.again, verdict.asked], [again, asked]);
    });
  }
});

test("delays grow to five seconds, with jitter", () => {
  const delays = (chance: number): (number | undefined)[] => {
    const window = new RetryWindow(1e12);
    return Array.from({ length: 40 }, () => window.delay({ again: true }, { now: 0, chance }));
  };
  assert.deepEqual(delays(1).slice(0, 8), [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
  assert.deepEqual(delays(0).slice(0, 3), [50, 100, 200]);
  assert.equal(delays(1).at(-1), 5_000);
});

test("the delay that a server asks for is kept to, and spread", () => {
  for (const [asked, chance, delay] of [
    [1_000, 0, 1_000],
    [1_000, 1, 1_200],
    [1e12, 0, 3_600_000],
    [0, 0, 100],
    [-1e30, 0, 100],
    [1e-6, 1, 120],
  ] as const) {
    assert.equal(new RetryWindow(1e15).delay({ again: true, asked }, { now: 0, chance }), delay);
  }
});

test("patience ends a while after the last progress", () => {
  const window = new RetryWindow(60_000);
  const fail = (now: number): number => window.failed(Broken.silent, { again: true }, { now, chance: 1 });
  fail(100_000);
  fail(159_000);
  window.progressed();
  assert.equal(fail(200_000), 100);
  fail(259_000);
  assert.throws(
    () => fail(260_000),
    (error) =>
      error instanceof GaveUp && error.message.includes("gave up after 60 s without news: the server said nothing"),
  );
});

test("the last error says what happened", () => {
  for (const broken of [Broken.cut, Broken.gap, failure("UNAVAILABLE")]) {
    assert.ok(last(broken) instanceof NotResumable);
  }
  const refused = failure("NOT_FOUND", "PROMPT_NOT_FOUND");
  assert.equal(last(refused), refused);
});

test("what costs is repeated only where nothing began", () => {
  for (const [code, reason, freely, otherwise] of [
    ["UNAVAILABLE", "DRAINING", true, true],
    ["RESOURCE_EXHAUSTED", "OVERLOADED", true, true],
    ["UNAVAILABLE", "STORE_UNAVAILABLE", true, false],
    ["UNAVAILABLE", "", true, false],
    ["INTERNAL", "", true, false],
    ["ABORTED", "SLOW_CONSUMER", false, false],
    ["DEADLINE_EXCEEDED", "", false, false],
    ["RESOURCE_EXHAUSTED", "TOO_LARGE", false, false],
  ] as const) {
    const error = failure(code, reason);
    assert.deepEqual([ofCall(error, true).again, ofCall(error, false).again], [freely, otherwise], `${code} ${reason}`);
  }
  assert.deepEqual(ofCall(failure("RESOURCE_EXHAUSTED", "RATE_LIMITED", 2_000), true), { again: true, asked: 2_000 });
  const unsent = new (classOf("", "UNAVAILABLE"))("no connection", { unsent: true });
  assert.ok(ofCall(unsent, false).again);
  const recorded = new (classOf("OVERLOADED", "RESOURCE_EXHAUSTED"))("full", {
    reason: "OVERLOADED",
    metadata: { execution_id: "e1" },
  });
  assert.ok(!ofCall(recorded, false).again, "an execution was recorded");
});

test("a deadline is one that can be sent", () => {
  assert.equal(new Attempts(Infinity, 0, true).left(5), 99_999_999);
});

test("the deadline bounds all attempts together", () => {
  const attempts = new Attempts(30_000, 100_000, true);
  const away = failure("UNAVAILABLE");
  assert.equal(attempts.left(100_000), 30_000);
  assert.equal(attempts.delay(away, { now: 100_000, chance: 1 }), 100);
  assert.equal(attempts.left(120_000.5), 9_999);
  assert.equal(attempts.delay(away, { now: 129_950, chance: 1 }), undefined);
  assert.equal(attempts.delay(failure("UNAVAILABLE", "DRAINING", 60_000), { now: 101_000, chance: 0 }), undefined);
  assert.equal(attempts.left(131_000), 1);
  assert.deepEqual([attempts.over(129_999), attempts.over(130_000)], [false, true]);
});
