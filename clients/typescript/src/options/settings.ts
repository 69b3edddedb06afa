/** The explicit arguments of a client, checked. */

import type { Interceptor } from "@connectrpc/connect";

import { InvalidOptions } from "../errors/index.ts";
import { DEFAULT_LOGGER, type Logger } from "./logger.ts";
import { type Environment, findProfile, type Profile } from "./profile.ts";
import { Target } from "./target.ts";

/** How to connect. With a server, nothing of the address and the key is taken from the environment or a file. */
export interface ConnectOptions extends Partial<Profile> {
  /** A profile of the file of profiles, instead of the one that the environment says. */
  readonly profile?: string | undefined;
  /** Whether the key may go over `http` to another machine, where anyone on the way can read it. */
  readonly allowPlaintext?: boolean | undefined;
  /** `tracking_only`: all prompts are in code, and `run`, `stream` and `submit` execute such. */
  readonly mode?: "full" | "tracking_only" | undefined;
  /** Deadline of calls that answer once, their repeats included; 30,000. `run` and `execute` have their own. */
  readonly timeoutMs?: number | undefined;
  /** How long a watch tries again without progress before it gives up; 300,000. */
  readonly patienceMs?: number | undefined;
  /** How long a stream may be silent before it counts as broken; 45,000. */
  readonly silenceMs?: number | undefined;
  /** Interceptors of Connect around every call, the first one outermost. They do not see the key. */
  readonly interceptors?: readonly Interceptor[] | undefined;
  readonly logger?: Logger | undefined;
}

export interface Settings {
  readonly server: string;
  readonly project: string;
  readonly target: Target;
  readonly trackingOnly: boolean;
  readonly timeoutMs: number;
  readonly patienceMs: number;
  readonly silenceMs: number;
  readonly interceptors: readonly Interceptor[];
  readonly logger: Logger;
}

export function settingsOf(options: ConnectOptions, environment: Environment): Settings {
  const { server, apiKey, project, tlsCa, tlsCert, tlsKey, mode = "full" } = options;
  const given = { server, apiKey, project, tlsCa, tlsCert, tlsKey } as Partial<Profile>;
  const profile = findProfile(given, options.profile, environment);
  if (!["full", "tracking_only"].includes(mode)) {
    throw new InvalidOptions(`${JSON.stringify(mode)} is no mode of a client; it is "full" or "tracking_only"`);
  }
  return {
    server: profile.server,
    project: profile.project ?? "",
    target: new Target(profile, options.allowPlaintext ?? false),
    trackingOnly: mode === "tracking_only",
    timeoutMs: positive("timeoutMs", options.timeoutMs ?? 30_000),
    patienceMs: positive("patienceMs", options.patienceMs ?? 300_000),
    silenceMs: positive("silenceMs", options.silenceMs ?? 45_000),
    interceptors: [...(options.interceptors ?? [])],
    logger: options.logger ?? DEFAULT_LOGGER,
  };
}

/** A number of milliseconds. */
export function positive(name: string, value: number): number {
  if (!(value > 0)) {
    throw new InvalidOptions(`${name} is to be more than 0 milliseconds`);
  }
  return value;
}
