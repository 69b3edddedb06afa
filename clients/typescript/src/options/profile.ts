/**
 * Where a client connects to, and as whom.
 *
 * A profile is taken whole or not at all: the explicit arguments, or the environment (`LEDGER_SERVER`, `LEDGER_API_KEY`,
 * `LEDGER_PROJECT`, `LEDGER_TLS_CA`, `LEDGER_TLS_CERT`, `LEDGER_TLS_KEY`), or a profile of the file of profiles. Where none of
 * them names a server, it is `prompt-ledger dev` on this machine, with its key.
 */

import { closeSync, fstatSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

import { parse, TomlError } from "smol-toml";

import { InvalidOptions } from "../errors/index.ts";
import { openOwnFile } from "../own-file.ts";

const DEVELOPMENT_SERVER = "http://127.0.0.1:50051";
/** What `prompt-ledger dev` accepts on loopback without any setting. */
export const DEVELOPMENT_KEY = "dev-key-change-in-production";

/** Of the file of profiles, in bytes. */
const LARGEST_FILE = 1_024 * 1_024;

/** The path of a file in PEM form, or its content as bytes. */
export type Pem = string | URL | Uint8Array;

/** A server, and what opens it. */
export interface Profile {
  /** `http://HOST:PORT` or `https://HOST:PORT`, without a user and a password. */
  readonly server: string;
  readonly apiKey?: string | undefined;
  /** Needed by system keys alone, which open all projects. */
  readonly project?: string | undefined;
  /** The certificates that vouch for the server's; the system's where there are none. Refused with `http`, as the next two are. */
  readonly tlsCa?: Pem | undefined;
  /** The client's own certificate, for servers that ask for one. */
  readonly tlsCert?: Pem | undefined;
  /** The key of the client's own certificate. */
  readonly tlsKey?: Pem | undefined;
}

/** A profile, and where it stands. */
export interface FoundProfile extends Profile {
  /** For errors, which show nothing of a file. Absent: they may show the values. */
  readonly source?: string | undefined;
}

/** What the environment says, by the names of variables. An empty variable counts as none. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The names of a profile's fields in the file of profiles, and as options. */
const FIELDS = {
  server: "server",
  api_key: "apiKey",
  project: "project",
  tls_ca: "tlsCa",
  tls_cert: "tlsCert",
  tls_key: "tlsKey",
} as const;

/** The profile that the explicit arguments name, or else the environment, or else the file. */
export function findProfile(
  given: Partial<Profile>,
  profile: string | undefined,
  environment: Environment,
): FoundProfile {
  const explicit = Object.entries(given).filter(([, value]) => value !== undefined);
  if (given.server !== undefined) {
    return { ...given, server: given.server };
  }
  if (explicit.length > 0) {
    const names = explicit.map(([name]) => name).sort();
    throw new InvalidOptions(`${names.join(", ")} without a server: a profile is taken whole, so give the server too`);
  }
  const server = environment["LEDGER_SERVER"] ?? "";
  if (profile === undefined && server !== "") {
    return fromTable((name) => environment[`LEDGER_${name.toUpperCase()}`] || undefined, server);
  }
  const named = profile ?? (environment["LEDGER_PROFILE"] || undefined);
  return fromFile(named, environment) ?? { server: DEVELOPMENT_SERVER, apiKey: DEVELOPMENT_KEY };
}

function fromTable(value: (name: keyof typeof FIELDS) => string | undefined, server: string): Profile {
  return {
    server,
    apiKey: value("api_key"),
    project: value("project"),
    tlsCa: value("tls_ca"),
    tlsCert: value("tls_cert"),
    tlsKey: value("tls_key"),
  };
}

/** The profile of that name, or `default`; undefined where neither it nor the file is named and there is none. */
function fromFile(named: string | undefined, environment: Environment): FoundProfile | undefined {
  const path = profilesPath(environment);
  const name = named ?? "default";
  const isAskedFor = named !== undefined || Boolean(environment["LEDGER_CONFIG"]);
  const file = read(path);
  if (file === undefined) {
    if (!isAskedFor) {
      return undefined;
    }
    throw new InvalidOptions(`the profile ${quoted(name)} is wanted, and there is no ${path}`);
  }
  if (process.platform !== "win32" && (file.mode & 0o077) !== 0) {
    throw new InvalidOptions(`${path} can be read by others, and keys stand in it: chmod 600 ${path}`);
  }
  const { profiles = {}, ...others } = parsed(path, file.content);
  if (!isTable(profiles) || Object.keys(others).length > 0) {
    throw new InvalidOptions(`${path} holds something else than tables [profiles.NAME]`);
  }
  const profile = Object.hasOwn(profiles, name) ? profiles[name] : undefined;
  if (profile === undefined) {
    if (!isAskedFor) {
      return undefined;
    }
    throw new InvalidOptions(`${path} has no profile ${quoted(name)}`);
  }
  return checked(profile, `the profile ${quoted(name)} of ${path}`);
}

function checked(profile: unknown, what: string): FoundProfile {
  if (!isTable(profile) || !Object.values(profile).every((value) => typeof value === "string")) {
    throw new InvalidOptions(`${what} is to be a table of texts`);
  }
  const texts = profile as Record<string, string>;
  if (!Object.keys(texts).every((field) => Object.hasOwn(FIELDS, field))) {
    throw new InvalidOptions(`${what} has something else than ${Object.keys(FIELDS).sort().join(", ")}`);
  }
  const { server } = texts;
  if (server === undefined || server === "") {
    throw new InvalidOptions(`${what} names no server: write server = "http://HOST:PORT" or "https://HOST:PORT" there`);
  }
  // An empty text counts as none, as an empty variable does.
  return { ...fromTable((field) => texts[field] || undefined, server), source: what };
}

/** The file's mode and content; undefined where there is none. */
function read(path: string): { readonly mode: number; readonly content: string } | undefined {
  let file: number | undefined;
  try {
    file = openOwnFile(path);
    const about = fstatSync(file);
    if (!about.isFile() && !about.isDirectory()) {
      throw new InvalidOptions(`${path} is no file`);
    }
    if (about.size > LARGEST_FILE) {
      throw new InvalidOptions(`${path} has more than 1 MiB: it holds something else than profiles`);
    }
    return { mode: about.mode, content: readFileSync(file, "utf8") };
  } catch (error) {
    if (error instanceof InvalidOptions) {
      throw error;
    }
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    if (code === "ENOENT") {
      return undefined;
    }
    throw new InvalidOptions(`${path} cannot be read: ${code}`);
  } finally {
    if (file !== undefined) {
      closeSync(file);
    }
  }
}

function parsed(path: string, content: string): Readonly<Record<string, unknown>> {
  try {
    return parse(content);
  } catch (error) {
    // The place alone: what stands there may be a key.
    const place = error instanceof TomlError ? ` at line ${String(error.line)}, column ${String(error.column)}` : "";
    throw new InvalidOptions(`${path} is no TOML${place}`);
  }
}

function profilesPath(environment: Environment): string {
  const named = environment["LEDGER_CONFIG"];
  if (named) {
    return named;
  }
  const home = environment["XDG_CONFIG_HOME"] || join(environment["HOME"] || homedir(), ".config");
  return join(home, "prompt-ledger", "config.toml");
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function quoted(name: string): string {
  return JSON.stringify(name);
}
