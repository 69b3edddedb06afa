/** The servers that tests start: how they begin and end, and one with TLS. */

import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect as connectSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { inspect } from "node:util";

import { connect, DeadlineExceeded, type LedgerError, Unavailable } from "../src/index.ts";
import { devServer, findBinary, useLedger } from "../src/testing.ts";
import { all } from "./support/scripted.ts";
import { selfSigned } from "./support/certificate.ts";

async function folder(t: TestContext): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "testing-"));
  t.after(() => rm(made, { recursive: true, force: true }));
  return made;
}

test("a server ends when it is closed", async () => {
  const server = await devServer();
  const ledger = server.connect();
  assert.deepEqual(await all(ledger.prompts.list()), []);
  assert.match(server.metrics, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
  assert.ok(!inspect(server).includes(server.apiKey));
  await ledger.close();
  await server.close();
  await server.close();
  const { port } = new URL(server.server);
  await assert.rejects(
    new Promise((resolve, reject) => {
      connectSocket(Number(port), "127.0.0.1").on("connect", resolve).on("error", reject);
    }),
    { code: "ECONNREFUSED" },
  );
});

test("a server that does not start says why", async () => {
  await assert.rejects(devServer({ environment: { DEFAULT_MODEL: "nobody/nothing" } }), /did not start:\n[^]*nobody/);
  await assert.rejects(devServer({ binary: "/nowhere/prompt-ledger" }), /\/nowhere\/prompt-ledger is no file/);
  await assert.rejects(devServer({ arguments: ["--no-such-argument"] }), /no-such-argument/);
});

const fixture = useLedger();
assert.throws(() => fixture.ledger, /the ledger is there while tests run: use it within a test/);

test("a fixture is there while tests run", async () => {
  await fixture.started;
  assert.equal(fixture.ledger.server, fixture.server.server);
  assert.deepEqual(await all(fixture.ledger.prompts.list()), []);
});

test("the program is found", async (t) => {
  const binary = findBinary();
  assert.equal(findBinary(binary), binary);
  const before = { ...process.env };
  const cwd = process.cwd();
  t.after(() => {
    process.chdir(cwd);
    process.env = before;
  });
  const path = await folder(t);
  process.env["PROMPT_LEDGER_BIN"] = "/nowhere/prompt-ledger";
  assert.throws(() => findBinary(), /\/nowhere\/prompt-ledger is no file; .*PROMPT_LEDGER_BIN/);
  process.env["PROMPT_LEDGER_BIN"] = "";
  process.env["PATH"] = path;
  delete process.env["CARGO_TARGET_DIR"];
  process.chdir(path);
  assert.throws(() => findBinary(), /it is not in the PATH/);
  const built = join(path, "target", "debug", "prompt-ledger");
  await mkdir(join(built, ".."), { recursive: true });
  await writeFile(built, "");
  await writeFile(join(path, "Cargo.toml"), "");
  assert.equal(findBinary(), built);
  process.env["CARGO_TARGET_DIR"] = join(path, "other");
  assert.equal(findBinary(), built);
  const installed = join(path, "prompt-ledger");
  await writeFile(installed, "");
  assert.equal(findBinary(), built, "it cannot be executed");
  await chmod(installed, 0o755);
  assert.equal(findBinary(), installed);
});

test("TLS, with a certificate of one's own", async (t) => {
  const { cert, key } = await selfSigned(await folder(t));
  const server = await devServer({ environment: { TLS_CERT: cert, TLS_KEY: key } });
  t.after(() => server.close());
  const secure = { server: server.server.replace("http://", "https://"), apiKey: server.apiKey };
  for (const options of [
    { ...secure, tlsCa: cert },
    { ...secure, server: secure.server.replace("127.0.0.1", "localhost"), tlsCa: cert, tlsCert: cert, tlsKey: key },
  ]) {
    const ledger = connect(options);
    await ledger.prompts.put("greet", "Hi", { setActive: true });
    assert.equal((await ledger.stream("greet").result()).status, "succeeded");
    await ledger.close();
  }
  const distrusting = connect({ ...secure, timeoutMs: 7_000 });
  await assert.rejects(
    distrusting.prompts.get("greet"),
    (error) => isAway(error) && error.message.includes("certificate"),
  );
  await distrusting.close();
});

/** Whether there was no connection. The last attempt may find the deadline first. */
function isAway(error: unknown): error is LedgerError {
  return error instanceof Unavailable || error instanceof DeadlineExceeded;
}
