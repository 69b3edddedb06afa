import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Readable, type Writable } from "node:stream";
import { createInterface } from "node:readline";

import { connect, type PromptLedger } from "../client.ts";
import type { ConnectOptions } from "../options/settings.ts";
import { findBinary } from "./binary.ts";

/** How long the server may take to start, and to end once it is told to, in milliseconds. */
const START = 60_000;
const END = 15_000;
/** Of this process's environment, what the server's system needs. Nothing of it configures a ledger. */
const INHERITED = [
  "PATH",
  "HOME",
  "TMPDIR",
  "TEMP",
  "SYSTEMROOT",
  "LD_LIBRARY_PATH",
  "RUST_BACKTRACE",
  "LLVM_PROFILE_FILE",
];

export interface DevServerOptions {
  /** The program; else that of `PROMPT_LEDGER_BIN`, of the `PATH`, or of the `target` of a workspace that this is run in. */
  readonly binary?: string | undefined;
  /** Settings of the server, such as `{ OPENAI_BASE_URL: "..." }`. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Further arguments of `prompt-ledger dev`. */
  readonly arguments?: readonly string[] | undefined;
}

/** What the server says once it serves. */
interface Ready {
  readonly grpc: string;
  readonly http: string;
  readonly metrics: string;
  readonly key: string;
}

type Child = ChildProcessByStdio<Writable, Readable, null>;

/** A running server. It ends with this process at the latest. */
export class DevServer implements AsyncDisposable {
  /** Where it serves gRPC: `http://HOST:PORT`. */
  readonly server: string;
  /** Where it serves HTTP. */
  readonly http: string;
  readonly metrics: string;
  readonly #key: string;
  readonly #process: Child;
  readonly #folder: string;

  /** @internal */
  constructor(ready: Ready, process: Child, folder: string) {
    this.server = ready.grpc;
    this.http = ready.http;
    this.metrics = ready.metrics;
    this.#key = ready.key;
    this.#process = process;
    this.#folder = folder;
  }

  get apiKey(): string {
    return this.#key;
  }

  /** A client of it. */
  connect(options: Omit<ConnectOptions, "server"> = {}): PromptLedger {
    return connect({ apiKey: this.#key, ...options, server: this.server });
  }

  /** Ends it, and removes what it kept. */
  async close(): Promise<void> {
    await end(this.#process);
    await rm(this.#folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Starts `prompt-ledger dev`, with `echo` as its model, and returns once it serves. */
export async function devServer(options: DevServerOptions = {}): Promise<DevServer> {
  const binary = findBinary(options.binary);
  const folder = await mkdtemp(join(tmpdir(), "prompt-ledger-"));
  const logFile = join(folder, "log");
  const data = ["--data-dir", join(folder, "data")];
  const log = openSync(logFile, "w");
  const inherited = INHERITED.flatMap((name) => (name in process.env ? [[name, process.env[name]] as const] : []));
  const child = spawn(binary, ["dev", "--ready-json", "--exit-with-stdin", ...data, ...(options.arguments ?? [])], {
    cwd: folder,
    env: { ...Object.fromEntries(inherited), DEFAULT_MODEL: "echo/echo", ...options.environment },
    stdio: ["pipe", "pipe", log],
  }) as Child;
  closeSync(log);
  try {
    return new DevServer(await ready(child), child, folder);
  } catch (error) {
    await end(child);
    const told = await readFile(logFile, "utf8").catch(() => "");
    await rm(folder, { recursive: true, force: true });
    throw new Error(`the server did not start:\n${told.slice(-4_000)}`, { cause: error });
  }
}

/** The first line that it writes. */
async function ready(child: Child): Promise<Ready> {
  const lines = createInterface({ input: child.stdout });
  const signal = AbortSignal.timeout(START);
  // An empty line where it ended, or could not be started, without one.
  const ended = once(lines, "close", { signal }).then(() => [""]);
  const [line] = (await Promise.race([once(lines, "line", { signal }), ended])) as [string];
  lines.close();
  const ready = JSON.parse(line) as Ready;
  // It says no more, and does not keep this process alive.
  child.stdout.destroy();
  child.unref();
  return ready;
}

async function end(child: Child): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) {
    return;
  }
  const ended = once(child, "exit");
  const late = setTimeout(() => child.kill("SIGKILL"), END);
  child.stdin.end();
  await ended;
  clearTimeout(late);
}
