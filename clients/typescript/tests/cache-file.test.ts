import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmod, chown, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import { create, type JsonObject, toBinary } from "@bufbuild/protobuf";

import { CacheFile } from "../src/cache/cache-file.ts";
import { PromptTable } from "../src/cache/prompt-table.ts";
import { type PromptChange, PromptChangeSchema } from "../src/proto.ts";
import { promptState } from "./support/events.ts";

const SOURCE = { server: "http://here", project: "", key: "k", names: ["b", "a"], namePrefix: "" };
const AT = new Date(1_767_225_600_123);

function state(name: string, active: number): PromptChange {
  const { kind } = promptState(name, 0, [active]);
  assert.ok(kind.case === "change");
  return kind.value;
}

async function folder(t: TestContext): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "cache-file-"));
  t.after(() => rm(made, { recursive: true, force: true }));
  return made;
}

test("what was written is read, the last one stays, and nothing else is left", async (t) => {
  const path = join(await folder(t), "prompts");
  const file = new CacheFile(path, SOURCE);
  assert.equal(file.read(), undefined);
  for (const count of [3, 0, 200]) {
    const states = Array.from({ length: count }, (_, number) => state(`p${String(number)}`, number));
    await file.write(
      states.map((each) => toBinary(PromptChangeSchema, each)),
      AT,
    );
    assert.deepEqual(file.read(), { states, currentAt: AT });
  }
  assert.deepEqual(await readdir(join(path, "..")), ["prompts"]);
  assert.ok(
    new CacheFile(path, { ...SOURCE, names: ["a", "b", "a"] }).read() !== undefined,
    "neither the order of names nor a name that is given twice selects anything else",
  );
  const others = [
    { server: "http://there" },
    { project: "p" },
    { key: "l" },
    { key: "" },
    { names: ["a"] },
    { namePrefix: "x" },
  ];
  for (const other of others) {
    assert.throws(() => new CacheFile(path, { ...SOURCE, ...other }).read(), /of another ledger/);
  }
});

test("what another user may have written is not read, and replaced", async (t) => {
  const states = [toBinary(PromptChangeSchema, state("a", 1))];
  const changes: Record<string, (path: string) => Promise<void>> = {
    "all may write it": (path) => chmod(path, 0o602),
    "its group may write it": (path) => chmod(path, 0o620),
    "a named pipe": async (path) => {
      await rm(path);
      execFileSync("mkfifo", ["-m", "600", path]);
    },
  };
  if (process.geteuid?.() === 0) {
    changes["of another user"] = (path) => chown(path, 12_345, 0);
  }
  for (const [name, change] of Object.entries(changes)) {
    const file = new CacheFile(join(await folder(t), "prompts"), SOURCE);
    await file.write(states, AT);
    await change(file.path);
    assert.throws(() => file.read(), /belongs to or can be written by another user/, name);
    await file.write(states, AT);
    assert.equal(file.read()?.states.length, 1, name);
  }
});

test("what is too large is neither written nor read, and leaves the earlier one", async (t) => {
  const path = join(await folder(t), "prompts");
  const states = [toBinary(PromptChangeSchema, state("a", 1))];
  await new CacheFile(path, SOURCE).write(states, AT);
  const { size } = await stat(path);
  const small = new CacheFile(path, SOURCE, size);
  await assert.rejects(small.write([...states, ...states], AT), /take \d+ bytes, and a file has at most/);
  assert.equal(small.read()?.states.length, 1);
  assert.throws(() => new CacheFile(path, SOURCE, size - 1).read(), /larger than any that is written/);
  assert.deepEqual(await readdir(join(path, "..")), ["prompts"]);
});

/** Writes a large file, in a process of its own. */
const WRITER = `
const [module, path, source] = process.argv.slice(1);
const { CacheFile } = await import(module);
await new CacheFile(path, JSON.parse(source)).write([new Uint8Array(2 ** 22)], new Date());
`;

test("where a disk is full the earlier one stays, alone", async (t) => {
  const path = join(await folder(t), "prompts");
  const file = new CacheFile(path, SOURCE);
  await file.write([toBinary(PromptChangeSchema, state("a", 1))], AT);
  // What it tells of its coverage would not fit either.
  const env = { ...process.env, NODE_V8_COVERAGE: undefined };
  const write = (before: string): unknown => {
    const module = new URL("../src/cache/cache-file.ts", import.meta.url).href;
    const words = [process.execPath, "--input-type=module", "--eval", WRITER, module, path, JSON.stringify(SOURCE)];
    return execFileSync("sh", ["-c", `${before} exec "$@"`, "sh", ...words], { env, stdio: "pipe" });
  };
  assert.throws(() => write("ulimit -f 1024 &&"), /EFBIG/);
  assert.deepEqual([file.read()?.states.length, await readdir(join(path, ".."))], [1, ["prompts"]]);
  write("");
  assert.ok((await stat(path)).size > 2 ** 22, "it is the limit alone that refuses");
});

test("each change is told once to whoever has seen less", () => {
  const table = new PromptTable();
  assert.deepEqual([table.put(state("a", 1)), table.put(state("b", 1)), table.edition], ["a", "b", 2]);
  assert.deepEqual([table.changedSince(0), table.changedSince(1), table.changedSince(2)], [["a", "b"], ["b"], []]);
  assert.equal(table.put(state("a", 1)), undefined, "the same state is no change");
  const tuned = (custom: JsonObject): PromptChange =>
    create(PromptChangeSchema, { prompt: { name: "tuned" }, activeVersion: { config: { custom } } });
  assert.deepEqual(
    [table.put(tuned({ x: 1, y: 2 })), table.put(tuned({ y: 2, x: 1 })), table.put(tuned({ x: 2, y: 1 }))],
    ["tuned", undefined, "tuned"],
  );
  const seen = table.edition;
  for (let number = 2; number < 50; number += 1) {
    table.put(state("a", number));
  }
  table.put(state("c", 1));
  table.put(state("a", 99));
  assert.deepEqual(table.changedSince(seen), ["c", "a"]);
  assert.equal(table.version("a", undefined)?.number, 99);
});

test("what is gone is told, and may come again", () => {
  const table = new PromptTable();
  for (const name of ["a", "b", "c"]) {
    table.put(state(name, 1));
  }
  assert.deepEqual(
    [table.keepOnly(new Set(["b", "d"])), table.names(), table.changedSince(3)],
    [["a", "c"], ["b"], ["a", "c"]],
  );
  assert.deepEqual(table.keepOnly(new Set(["b"])), [], "they are gone already");
  assert.deepEqual([table.put(state("a", 1)), table.prompt("a")?.name, table.prompt("c")], ["a", "a", undefined]);
  assert.equal(table.put(create(PromptChangeSchema)), undefined, "a state without a prompt is none");
});
