import { accessSync, constants, existsSync, statSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";

/** The program `prompt-ledger`: the one named, or that of `PROMPT_LEDGER_BIN`, of the `PATH`, or of a workspace's `target`. */
export function findBinary(binary?: string): string {
  const named = binary ?? (process.env["PROMPT_LEDGER_BIN"] || undefined);
  const found = named ?? inPath() ?? built();
  if (found === undefined || !isFile(found)) {
    const where = named === undefined ? "it is not in the PATH" : `${named} is no file`;
    throw new Error(`no prompt-ledger: ${where}; install it, or name it by PROMPT_LEDGER_BIN`);
  }
  return resolve(found);
}

function inPath(): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return folders.map((folder) => join(folder, "prompt-ledger")).find(isExecutable);
}

/** That of a workspace that this is run in, as Cargo has built it. */
function built(): string | undefined {
  const targets = [process.env["CARGO_TARGET_DIR"] ?? ""].filter((folder) => folder !== "");
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    if (existsSync(join(folder, "Cargo.toml"))) {
      targets.push(join(folder, "target"));
    }
    if (folder === dirname(folder)) {
      break;
    }
  }
  return targets
    .flatMap((target) => ["release", "debug"].map((profile) => join(target, profile, "prompt-ledger")))
    .find(isFile);
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return isFile(path);
  } catch {
    return false;
  }
}
