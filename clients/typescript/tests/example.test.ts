/** The example service, with a ledger of its own. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";

import type { PromptCache } from "@prompt-ledger/client";
import { useLedger } from "@prompt-ledger/client/testing";

import { app, PROMPTS } from "../examples/chat-service/app.ts";

const fixture = useLedger();
let cache: PromptCache;
let server: Server;

before(async () => {
  await fixture.started;
  await fixture.ledger.registerCodePrompts(PROMPTS);
  cache = await fixture.ledger.promptCache({ namePrefix: "persona." }).ready();
  server = app(fixture.ledger, cache).listen(0);
  await once(server, "listening");
});

after(async () => {
  server.closeAllConnections();
  server.close();
  await cache.close();
});

function url(path: string): string {
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}${path}`;
}

/** The events of a stream, as an `EventSource` has them. */
function events(body: string): { readonly event: string; readonly data: unknown }[] {
  return body
    .split("\n\n")
    .filter((block) => block !== "")
    .map((block) => {
      const [, event = "", data = ""] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? [];
      return { event, data: JSON.parse(data) as unknown };
    });
}

test("an answer is streamed to a browser", async () => {
  const { ledger } = fixture;
  const written = await ledger.prompts.put("persona.pirate", "You are a pirate.", { labels: ["production"] });
  await cache.reached(written.revision);
  const response = await fetch(url("/answers?persona=pirate&question=Why%3F%0A"));
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const told = events(await response.text());
  const text = told.flatMap(({ event, data }) => (event === "text" ? [data] : [])).join("");
  assert.equal(text, "You are a pirate.\n\nAnswer in one sentence: Why?\n");
  assert.deepEqual(told.at(-1), { event: "end", data: { status: "succeeded" } });
});

test("editors' texts are read from memory", async () => {
  assert.deepEqual(await (await fetch(url("/personas/nobody"))).json(), { text: "" });
  const { ledger } = fixture;
  const written = await ledger.prompts.put("persona.sailor", "You sail.", { labels: ["production"] });
  await cache.reached(written.revision);
  const response = await fetch(url("/personas/sailor"));
  assert.deepEqual([await response.json(), response.headers.get("x-stale")], [{ text: "You sail." }, "false"]);
});

test("what keeps an answer from beginning is a status of HTTP", async () => {
  const other = app(fixture.server.connect({ apiKey: "pl_wrong" }), cache).listen(0);
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${String(port)}/answers?question=Why`);
  assert.equal(response.status, 502);
  assert.equal(((await response.json()) as { error: string }).error, "KEY_INVALID");
  other.closeAllConnections();
  other.close();
});

test("the service starts, and ends when it is told to", async () => {
  const program = join(import.meta.dirname, "..", "examples", "chat-service", "server.ts");
  const { server: ledger } = fixture;
  const child: ChildProcess = spawn(process.execPath, ["--conditions=prompt-ledger-source", program], {
    env: { ...process.env, LEDGER_SERVER: ledger.server, LEDGER_API_KEY: ledger.apiKey, PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  assert.ok(child.stdout !== null);
  const [address] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  assert.equal((await fetch(`${address}/personas/nobody`, { headers: { connection: "close" } })).status, 200);
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  assert.deepEqual(await ended, [0, null]);
});
