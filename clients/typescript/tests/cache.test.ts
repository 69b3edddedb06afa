/** Prompts in memory, fed by a server that goes away. */

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

import { Code } from "@connectrpc/connect";

import { ClientClosed, DeadlineExceeded, KeyInvalid, type Logger, NotSynced, type PromptCache } from "../src/index.ts";
import { RegistryService } from "../src/proto.ts";
import { promptsHeartbeat, promptState, synced } from "./support/events.ts";
import { HANG, KEY, refusal, Scripted } from "./support/scripted.ts";

const ALL = [promptState("a", 0, [1, 2], { label: "staging" }), promptState("b", 0, [5]), synced(7)];

/** Waits until a cache has something, for 30 s at most. */
async function arrival(cache: PromptCache): Promise<void> {
  const end = performance.now() + 30_000;
  while (cache.names().length === 0) {
    assert.ok(performance.now() < end, "nothing has come");
    await sleep(1);
  }
}

function cursors(scripted: Scripted): number[] {
  return scripted.requests(RegistryService.method.watchPrompts).map((request) => Number(request.afterRevision));
}

test("prompts are read from memory", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("WatchPrompts", [...ALL, HANG]);
  const cache = scripted.connect().promptCache({ names: ["a", "b"], namePrefix: "shop." });
  assert.throws(() => cache.get("a"), NotSynced);
  assert.throws(() => cache.prompt("a"), NotSynced);
  assert.equal(await cache.synced(), cache);
  assert.deepEqual([cache.get("a")?.template, cache.get("a", "active")?.number], ["a 1", 1]);
  assert.equal(cache.get("a", "staging")?.template, "a 2");
  assert.deepEqual(
    [cache.get("a", "latest"), cache.get("a", "toString"), cache.get("c")],
    [undefined, undefined, undefined],
  );
  assert.equal(cache.prompt("b")?.activeVersion, 5);
  assert.equal(cache.get("a"), cache.get("a"), "records are made once");
  assert.deepEqual(
    [cache.names(), cache.revision, cache.staleSince, cache.failure],
    [["a", "b"], 7, undefined, undefined],
  );
  const [request] = scripted.requests(RegistryService.method.watchPrompts);
  assert.deepEqual([request?.names, request?.namePrefix, request?.afterRevision], [["a", "b"], "shop.", 0n]);
  await cache.close();
  assert.equal(cache.get("a")?.number, 1, "what is held can still be read");
  assert.ok(cache.staleSince !== undefined);
  await assert.rejects(cache.reached(100), ClientClosed);
});

test("changes come live, and listeners are told", async (t) => {
  const scripted = await Scripted.start(t);
  const go = Promise.withResolvers<undefined>();
  scripted.on("WatchPrompts", [...ALL, go.promise, promptState("a", 8, [2]), promptState("b", 9, [5]), HANG]);
  const told: string[] = [];
  const warnings: string[] = [];
  const logger: Logger = { debug: () => undefined, info: () => undefined, warn: (line) => warnings.push(line) };
  const cache = scripted.connect({ logger }).promptCache();
  cache.onChange(() => {
    throw new Error("a listener's own");
  });
  const end = cache.onChange((name) => told.push(`${name} ${String(cache.prompt(name)?.activeVersion)}`));
  cache.onChange((name) => told.push(name))();
  await cache.synced();
  go.resolve(undefined);
  await cache.reached(9);
  assert.deepEqual(told, ["a 1", "b 5", "a 2"], "the same state again is no change");
  assert.ok(warnings.every((line) => line.includes("a listener's own")) && warnings.length === 3);
  assert.deepEqual([cache.get("a")?.number, cache.get("a", "staging")], [2, undefined]);
  end();
});

test("a slow reader of changes is told several as one, and delays nobody", async (t) => {
  const scripted = await Scripted.start(t);
  const go = Promise.withResolvers<undefined>();
  const changes = [promptState("a", 8, [2]), promptState("c", 9, [1]), promptState("a", 10, [1])];
  scripted.on("WatchPrompts", [...ALL, go.promise, ...changes, HANG]);
  const cache = scripted.connect().promptCache();
  await cache.synced();
  const reader = cache.changes();
  go.resolve(undefined);
  await cache.reached(10);
  assert.deepEqual((await reader.next()).value, ["c", "a"], "each once, in the order of their last changes");
  const controller = new AbortController();
  const aborted = cache.changes({ signal: controller.signal }).next();
  controller.abort(new Error("enough"));
  await assert.rejects(aborted, /enough/);
  const waiting = reader.next();
  await cache.close();
  assert.deepEqual(await waiting, { done: true, value: undefined });
});

test("what cannot be read yet is told once it can", async (t) => {
  const scripted = await Scripted.start(t);
  const rest = Promise.withResolvers<undefined>();
  scripted.on("WatchPrompts", [promptState("a", 0, [1]), rest.promise, synced(7), HANG]);
  const cache = scripted.connect().promptCache();
  const told: (number | undefined)[] = [];
  cache.onChange((name) => told.push(cache.get(name)?.number));
  let hasRead = false;
  const reading = cache
    .changes()
    .next()
    .finally(() => {
      hasRead = true;
    });
  await arrival(cache);
  const later = cache.changes().next();
  await sleep(50);
  assert.deepEqual([hasRead, told], [false, []]);
  rest.resolve(undefined);
  assert.deepEqual([(await reading).value, cache.get("a")?.number, told], [["a"], 1, [1]]);
  assert.deepEqual((await later).value, ["a"], "nothing of it could be read before");
});

test("of a cache that is never filled nothing is told", async (t) => {
  const scripted = await Scripted.start(t);
  const broken = refusal(Code.Unauthenticated, "KEY_INVALID");
  scripted.on("WatchPrompts", [promptState("a", 0, [1]), HANG], [promptState("a", 0, [1]), broken]);
  const ledger = scripted.connect();
  const closed = ledger.promptCache();
  const reading = closed.changes().next();
  await arrival(closed);
  await closed.close();
  assert.deepEqual(await reading, { done: true, value: undefined });
  await assert.rejects(ledger.promptCache().changes().next(), KeyInvalid);
});

test("the last state is served while the server is away", async (t) => {
  const scripted = await Scripted.start(t);
  const back = Promise.withResolvers<undefined>();
  const again = Promise.withResolvers<undefined>();
  scripted.on(
    "WatchPrompts",
    [...ALL, refusal(Code.Unavailable, "DRAINING", { retryMs: 10 })],
    [
      () => {
        again.resolve(undefined);
      },
      back.promise,
      promptState("b", 9, [6]),
      promptsHeartbeat(9),
      HANG,
    ],
  );
  const before = new Date();
  const cache = scripted.connect().promptCache();
  await cache.synced();
  await again.promise;
  assert.ok(cache.staleSince !== undefined && cache.staleSince >= before && cache.staleSince <= new Date());
  assert.equal(cache.get("b")?.number, 5);
  back.resolve(undefined);
  await cache.reached(9);
  assert.equal(cache.get("b")?.number, 6);
  assert.deepEqual(cursors(scripted), [0, 7]);
});

test("what a restored ledger does not have is dropped", async (t) => {
  const scripted = await Scripted.start(t);
  const ahead = refusal(Code.OutOfRange, "REVISION_AHEAD", { metadata: { last_revision: "3" } });
  const asked = Promise.withResolvers<undefined>();
  const go = Promise.withResolvers<undefined>();
  scripted.on("WatchPrompts", [...ALL, refusal(Code.Internal)], ahead, [
    () => {
      asked.resolve(undefined);
    },
    go.promise,
    promptState("a", 0, [9]),
    synced(3),
    HANG,
  ]);
  const cache = scripted.connect().promptCache();
  await cache.synced();
  await asked.promise;
  assert.deepEqual([cache.revision, cache.names()], [0, ["a", "b"]], "what is held stays until all has been told");
  go.resolve(undefined);
  await cache.reached(3);
  assert.deepEqual([cache.names(), cache.get("a")?.number], [["a"], 9]);
  assert.deepEqual(cursors(scripted), [0, 7, 0]);
});

test("a refusal ends the feed, and is told", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("WatchPrompts", [...ALL, refusal(Code.Unauthenticated, "KEY_INVALID")]);
  const cache = scripted.connect().promptCache();
  await assert.rejects(cache.reached(100), KeyInvalid);
  assert.ok(cache.failure instanceof KeyInvalid && cache.staleSince !== undefined);
  assert.equal(cache.get("a")?.number, 1);
});

test("a refusal before anything has come is what reading says", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("WatchPrompts", refusal(Code.Unauthenticated, "KEY_INVALID"));
  const cache = scripted.connect().promptCache();
  await assert.rejects(cache.ready(), KeyInvalid);
  assert.throws(() => cache.get("a"), KeyInvalid);
});

suite("what passes is waited for", () => {
  for (const [code, reason] of [
    [Code.ResourceExhausted, "TOO_MANY_WATCHERS"],
    [Code.Internal, "INTERNAL"],
    [Code.Unimplemented, "UNIMPLEMENTED"],
  ] as const) {
    test(reason, async (t) => {
      const scripted = await Scripted.start(t);
      scripted.on("WatchPrompts", refusal(code, reason, { retryMs: 10 }), [...ALL, HANG]);
      const cache = scripted.connect().promptCache();
      await cache.synced();
      assert.deepEqual(cache.names(), ["a", "b"]);
    });
  }
});

test("a cache that is behind is stale", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("WatchPrompts", [...ALL, promptsHeartbeat(7, true), promptState("b", 9, [6]), HANG]);
  const cache = scripted.connect().promptCache();
  await cache.reached(9);
  assert.equal(cache.get("b")?.number, 6);
  assert.ok(cache.staleSince !== undefined);
});

test("waiting ends in time, or by its signal", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.on("WatchPrompts", [HANG]);
  const cache = scripted.connect().promptCache();
  await assert.rejects(cache.synced({ timeoutMs: 100 }), DeadlineExceeded);
  await assert.rejects(cache.synced({ signal: AbortSignal.timeout(100) }), { name: "TimeoutError" });
});

/** A folder that is removed with the test, and a file in it that is not there yet. */
async function fileIn(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "cache-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, "prompts");
}

/** A server that tells all and then hangs, and caches of it with a file. */
async function filled(
  t: TestContext,
  file: string | URL,
  warnings: string[] = [],
): Promise<(namePrefix?: string, apiKey?: string) => PromptCache> {
  const scripted = await Scripted.start(t);
  scripted.on("WatchPrompts", [...ALL, HANG], [HANG]);
  const logger: Logger = { debug: () => undefined, info: () => undefined, warn: (line) => warnings.push(line) };
  return (namePrefix, apiKey = KEY) => scripted.connect({ logger, apiKey }).promptCache({ file, namePrefix });
}

test("a listener that fails later harms nobody", async (t) => {
  const scripted = await Scripted.start(t);
  const go = Promise.withResolvers<undefined>();
  scripted.on("WatchPrompts", [go.promise, ...ALL, HANG]);
  const told = Promise.withResolvers<string>();
  const logger: Logger = { debug: () => undefined, info: () => undefined, warn: told.resolve };
  const cache = scripted.connect({ logger }).promptCache({ names: ["a"] });
  cache.onChange(async (name) => {
    await cache.synced();
    throw new Error(`of ${name}`);
  });
  go.resolve(undefined);
  assert.match(await told.promise, /a listener of the prompt cache failed: of a/);
});

test("a cache begins with the file of the last run", async (t) => {
  const file = await fileIn(t);
  const open = await filled(t, pathToFileURL(file));
  const first = await open().synced();
  await first.close();
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  const stale = first.staleSince;
  const second = await open().ready();
  assert.deepEqual([second.names(), second.get("a", "staging")?.template], [["a", "b"], "a 2"]);
  assert.deepEqual([second.staleSince, second.revision], [stale, 0]);
  await assert.rejects(second.synced({ timeoutMs: 50 }), DeadlineExceeded);
  await second.close();
});

test("a file that is damaged, or of something else, is ignored with a warning and replaced", async (t) => {
  const file = await fileIn(t);
  const warnings: string[] = [];
  const open = await filled(t, file, warnings);
  await (await open().synced()).close();
  const whole = await readFile(file);
  assert.throws(() => open("other.").get("a"), NotSynced);
  assert.match(warnings.at(-1) ?? "", /of another ledger, project, key or selection/);
  assert.throws(() => open("", "pl_of-another-project").get("a"), NotSynced);
  assert.deepEqual([warnings.length, warnings[0] === warnings[1]], [2, true]);
  for (const damaged of [Buffer.alloc(0), whole.subarray(0, 50), Buffer.concat([whole, whole]), flipped(whole)]) {
    await writeFile(file, damaged);
    assert.throws(() => open().get("a"), NotSynced);
    assert.match(warnings.at(-1) ?? "", /it is damaged, or another kind of file/);
  }
  const again = await filled(t, file, warnings);
  await (await again().synced()).close();
  assert.ok(!(await readFile(file)).equals(flipped(whole)));
});

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(100) ^ 1, 100);
  return copy;
}

test("what cannot be written is told, and the cache works without", async (t) => {
  const file = join(await fileIn(t), "in", "no", "folder");
  const warnings: string[] = [];
  const cache = await (await filled(t, file, warnings))().synced();
  await cache.close();
  assert.match(warnings[0] ?? "", /could not be kept in .*ENOENT/);
  assert.equal(cache.get("a")?.number, 1);
});
