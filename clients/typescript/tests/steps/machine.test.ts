import assert from "node:assert/strict";
import { test } from "node:test";

import { LedgerError, NotResumable, Unreadable } from "../../src/index.ts";
import { classOf } from "../../src/io/status.ts";
import { Machine, Reader, type StreamCall, type Taken } from "../../src/steps/machine.ts";
import { Broken, type Moment } from "../../src/steps/retry.ts";

/** Answers what it is told. */
class Told extends Reader<Taken, string> {
  readonly #resumes: boolean;

  constructor(resumes = true) {
    super();
    this.#resumes = resumes;
  }

  override ask(): StreamCall<Taken> {
    throw new Error("nothing is opened here");
  }

  override get resumes(): boolean {
    return this.#resumes;
  }

  override take(message: Taken, updates: string[]): Taken {
    updates.push(message);
    return message;
  }
}

function at(seconds: number): Moment {
  return { now: seconds * 1_000, chance: 1 };
}

test("each message says what to do next", () => {
  const machine = new Machine(new Told(), 60_000);
  const updates: string[] = [];
  machine.opened();
  assert.equal(machine.took("nothing", at(0), updates), "read");
  assert.equal(machine.took("news", at(0), updates), "read");
  assert.equal(machine.took(undefined, at(0), updates), "read");
  assert.deepEqual(machine.took("gap", at(0), updates), { delay: 100 });
  assert.equal(machine.took("over", at(0), updates), "over");
  assert.throws(() => machine.took("unreadable", at(0), updates), Unreadable);
  assert.deepEqual(updates, ["nothing", "news", "gap", "over", "unreadable"]);
});

test("news renew the patience, and a snapshot alone does not", () => {
  const machine = new Machine(new Told(), 60_000);
  for (const second of [0, 30]) {
    machine.opened();
    machine.took("nothing", at(second), []);
    machine.failed(Broken.cut, at(second), []);
  }
  machine.took("news", at(50), []);
  machine.failed(Broken.cut, at(61), []);
  machine.took("nothing", at(62), []);
  assert.throws(() => machine.failed(Broken.cut, at(121), []), { name: "GaveUp" });
});

test("streams that reach their age with nothing to tell are no failures", () => {
  const machine = new Machine(new Told(), 60_000);
  const aged = new (classOf("DRAINING", "UNAVAILABLE"))("aged", { reason: "DRAINING", retryAfterMs: 1_000 });
  for (let second = 0; second < 1_000; second += 1) {
    machine.opened();
    machine.took("nothing", at(second), []);
    machine.failed(aged, at(second), []);
  }
  // But one that has not begun is.
  machine.failed(aged, at(1_000), []);
  assert.throws(() => machine.failed(aged, at(1_060), []), { name: "GaveUp" });
});

test("what cannot be gone on with ends at the first failure, but for what had not begun", () => {
  const machine = new Machine(new Told(false), 60_000);
  const unsent = new LedgerError("no connection", { code: "UNAVAILABLE", unsent: true });
  assert.deepEqual(machine.failed(unsent, at(0), []), { delay: 100 });
  machine.opened();
  machine.took("nothing", at(0), []);
  assert.throws(() => machine.failed(unsent, at(0), []), NotResumable);
  assert.throws(() => machine.failed(Broken.cut, at(0), []), NotResumable);
});
