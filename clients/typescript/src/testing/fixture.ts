import { after, before } from "node:test";

import type { PromptLedger } from "../client.ts";
import { type DevServer, devServer, type DevServerOptions } from "./dev-server.ts";

/** A ledger of a test file's or a suite's own; there while its tests run. */
export interface LedgerFixture {
  readonly server: DevServer;
  /** A client of it. */
  readonly ledger: PromptLedger;
  /** Settles once both are there, for hooks of one's own: those of a file do not wait for each other. */
  readonly started: Promise<void>;
}

/**
 * Starts a ledger before the tests of this file, or of the suite that this is called in, and ends it after them. For node:test;
 * elsewhere {@link devServer} does the same.
 */
export function useLedger(options: DevServerOptions = {}): LedgerFixture {
  let server: DevServer | undefined;
  let ledger: PromptLedger | undefined;
  const { promise: isStarted, resolve, reject } = Promise.withResolvers<undefined>();
  // Where nobody waits for it, the hook tells what went wrong.
  isStarted.catch(() => undefined);
  before(async () => {
    try {
      server = await devServer(options);
      ledger = server.connect();
      resolve(undefined);
    } catch (error) {
      reject(error);
      throw error;
    }
  });
  after(async () => {
    await ledger?.close();
    await server?.close();
  });
  return {
    started: isStarted,
    get server() {
      return started(server);
    },
    get ledger() {
      return started(ledger);
    },
  };
}

function started<T>(what: T | undefined): T {
  if (what === undefined) {
    throw new Error("the ledger is there while tests run: use it within a test");
  }
  return what;
}
