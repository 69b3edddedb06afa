#!/usr/bin/env node
/** `prompt-ledger-client register FOLDER`: registers the prompts of a folder, for CI and deployments. */

import { parseArgs } from "node:util";

import { connect, LedgerError } from "./index.ts";

const USAGE = `usage: prompt-ledger-client register FOLDER [options]

Registers the prompts of a folder: shop/greeting.hbs is shop.greeting. The ledger is that of the environment or of a profile.

  --dry-run            write nothing, and tell what differs; exits with 1 where something would be written
  --no-activate        register without making the versions the active ones
  --created-by NAME    who registers them
  --repository NAME    where the code comes from
  --commit HASH        which commit of it this is
`;

const OPTIONS = {
  "dry-run": { type: "boolean" },
  "no-activate": { type: "boolean" },
  "created-by": { type: "string" },
  repository: { type: "string" },
  commit: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

/** Does what the arguments say; returns the exit code. */
async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
  const [command, folder, ...others] = positionals;
  if (values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (command !== "register" || folder === undefined || others.length > 0) {
    process.stderr.write(USAGE);
    return 2;
  }
  const ledger = connect();
  try {
    const registration = await ledger.registerCodePrompts(folder, {
      dryRun: values["dry-run"],
      setActive: values["no-activate"] === true ? false : undefined,
      createdBy: values["created-by"],
      repository: values.repository,
      commit: values.commit,
    });
    for (const { name, action, version, warnings } of registration.registered) {
      process.stdout.write(`${name}: ${action}, version ${String(version)}\n`);
      for (const warning of warnings) {
        process.stdout.write(`  warning: ${warning}\n`);
      }
    }
    process.stdout.write(registration.diff);
    return values["dry-run"] === true ? registration.exitCode : 0;
  } finally {
    await ledger.close();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  const isExpected = error instanceof LedgerError || (error instanceof TypeError && "code" in error);
  process.stderr.write(`error: ${isExpected ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
