/**
 * The driver of the conformance suite: does what a scenario says, and prints what its user saw.
 *
 * `clients/conformance/README.md` is its protocol.
 */

import { createInterface } from "node:readline";

import { connect, InvalidOptions } from "./src/index.ts";
import { Driver } from "./conformance/driver.ts";
import { errorLine, print } from "./conformance/lines.ts";
import { connectOptions, type Scenario } from "./conformance/scenario.ts";

const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const first = await input.next();
const scenario = JSON.parse(String(first.value)) as Scenario;

try {
  const ledger = connect(connectOptions(scenario.options ?? {}));
  const driver = new Driver(ledger, async () => {
    await input.next();
  });
  for (const [index, step] of scenario.steps.entries()) {
    await driver.perform(index, step);
  }
  await ledger.close();
} catch (error) {
  if (!(error instanceof InvalidOptions)) {
    throw error;
  }
  print(errorLine(error));
}
// What was begun and left open would keep the process alive.
process.exit(0);
