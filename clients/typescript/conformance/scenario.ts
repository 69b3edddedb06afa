/** What a scenario says, in the client's own terms. */

import type { ChatEntry, CodePrompt, ConnectOptions, PutOptions, SpecOptions, TailFilter } from "../src/index.ts";

export type Json = Record<string, unknown>;

export interface Step extends Json {
  readonly do: string;
}

export interface Scenario {
  readonly name: string;
  readonly options?: Json;
  readonly steps: readonly Step[];
}

/** A name of the contract in the case of this language: `prompt_name` is `promptName`. */
function camel(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** An object with its own names in the case of this language; values stay as they are. */
export function camelCased(fields: Json): Json {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [camel(name), value]));
}

/** Times of connect's options are numbers of seconds in a scenario. */
export function connectOptions(options: Json): ConnectOptions {
  const { timeout, silence, patience, ...others } = options as Record<string, number | undefined>;
  return {
    ...camelCased(others),
    timeoutMs: milliseconds(timeout),
    silenceMs: milliseconds(silence),
    patienceMs: milliseconds(patience),
  };
}

export function milliseconds(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1_000;
}

/** A duration of protobuf's JSON form. */
function ofText(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text.replace(/s$/, "")) * 1_000;
}

interface Spec {
  readonly prompt: string;
  readonly variables: Json | undefined;
  readonly options: SpecOptions;
}

/** An ExecutionSpec of the contract, as a user gives it. */
export function specOf(fields: Json): Spec {
  const { promptName, variables, versionNumber, timeout, expireAfter, minRevision, ...others } = camelCased(fields);
  return {
    prompt: (promptName as string | undefined) ?? "",
    variables: variables as Json | undefined,
    options: {
      ...(others as SpecOptions),
      version: versionNumber as number | undefined,
      timeoutMs: ofText(timeout as string | undefined),
      expireAfterMs: ofText(expireAfter as string | undefined),
      minRevision: minRevision === undefined ? undefined : Number(minRevision),
    },
  };
}

interface Put {
  readonly name: string;
  readonly content: string | ChatEntry[] | undefined;
  readonly options: PutOptions;
}

/** A PutPromptRequest of the contract, as a user gives it. */
export function putOf(request: Json): Put {
  const { name, templateSource, chatTemplate, tags, ...others } = camelCased(request);
  const chat = chatTemplate as { entries: ChatEntry[] } | undefined;
  return {
    name: name as string,
    content: (templateSource as string | undefined) ?? chat?.entries,
    options: {
      ...(others as PutOptions),
      tags: tags === undefined ? undefined : ((tags as { values?: string[] }).values ?? []),
    },
  };
}

/** A WatchExecutionsRequest of the contract, as a user gives it. */
export function tailOf(request: Json): TailFilter {
  const { since, view, ...others } = camelCased(request);
  return {
    ...(others as TailFilter),
    since: since === undefined ? undefined : new Date(since as string),
    full: view === undefined ? undefined : view === "EXECUTION_VIEW_FULL",
  };
}

/** A CodePrompt of the contract, as a user gives it. */
export function codePromptOf(fields: Json): CodePrompt {
  const { templateSource, chatTemplate, ...others } = camelCased(fields);
  const chat = chatTemplate as { entries: ChatEntry[] } | undefined;
  return {
    ...(others as unknown as CodePrompt),
    ...(templateSource === undefined ? {} : { template: templateSource as string }),
    ...(chat === undefined ? {} : { chat: chat.entries }),
  };
}
