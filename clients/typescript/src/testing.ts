/**
 * A ledger for tests: `prompt-ledger dev` on free ports of this machine, in a folder that is removed with it.
 *
 * With node:test, {@link useLedger} starts one before the tests of a file or a suite, and ends it after them.
 */

export { type DevServer, devServer, type DevServerOptions } from "./testing/dev-server.ts";
export { findBinary } from "./testing/binary.ts";
export { type LedgerFixture, useLedger } from "./testing/fixture.ts";
