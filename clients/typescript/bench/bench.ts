/**
 * What the client costs, beside the bare generated stub.
 *
 *   LEDGER_SERVER=... LEDGER_API_KEY=... node bench/bench.ts SECONDS
 *
 * It measures the package as it is built: `npm run build` before; `run.sh` does both. The server has the prompts `figures-00000` to `figures-09999`. It prints one line of JSON; times are microseconds.
 */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const began = performance.now();

const { connect } = await import("@prompt-ledger/client");
const ledger = connect();
await ledger.prompts.get(name(0));
const startMs = performance.now() - began;

const { median, measured } = await import("./measuring.ts");
const { stubs } = await import("./stubs.ts");

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const PROMPTS = 10_000;
const CALLERS = 8;
const MODEL = { provider: "echo", modelName: "echo" };

const seconds = Number(process.argv[2] ?? 5);
const stub = stubs();

let next = 0;

/** The name of the next prompt: all of them, in turns. */
function another(): string {
  next = (next + 1) % PROMPTS;
  return name(next);
}

function name(number: number): string {
  return `figures-${String(number).padStart(5, "0")}`;
}

const get = await measured(seconds, CALLERS, {
  layer: () => ledger.prompts.get(another()),
  stub: () => stub.getPrompt(another()),
});
const submit = await measured(seconds, CALLERS, {
  layer: () => ledger.submit(name(0), {}, { model: "echo/echo" }),
  stub: () => stub.submit(name(0), MODEL),
});

const before = held();
const cache = await ledger.promptCache({ namePrefix: "figures-" }).synced();
const cacheBytes = held() - before;
const names = cache.names();
const reads = median(seconds * 1_000, (round) => {
  if (cache.get(names[round % names.length] ?? "") === undefined) {
    throw new Error("the cache lacks a prompt");
  }
});

/** The live memory of this process, in bytes: objects and what they hold outside the heap. */
function held(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const rows = [
  { call: "cache.get", by: "layer", ...reads },
  { call: "prompts.get", by: "layer", ...get.layer },
  { call: "prompts.get", by: "stub", ...get.stub },
  { call: "submit", by: "layer", ...submit.layer },
  { call: "submit", by: "stub", ...submit.stub },
];
process.stdout.write(`${JSON.stringify({ start_ms: round1(startMs), rows, cache_bytes: cacheBytes })}\n`);

function round1(value: number): number {
  return Math.round(value * 10) / 10;
}

await cache.close();
stub.close();
await ledger.close();
