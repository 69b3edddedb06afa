/** What to execute. */

import { create } from "@bufbuild/protobuf";

import { InvalidOptions } from "./errors/index.ts";
import { type ExecutionSpec, ExecutionSpecSchema } from "./gen/promptledger/v1/spec_pb.js";
import type { ChatMessage } from "./values/chat.ts";
import { chatMessage } from "./values/chat.ts";
import {
  type Model,
  type ModelParams,
  modelParams,
  modelRef,
  type ResponseFormat,
  responseFormat,
  type Tool,
  tool,
  type ToolChoice,
  toolChoice,
} from "./values/config.ts";
import { object } from "./values/json.ts";
import { duration, milliseconds } from "./values/time.ts";

/** As the server's defaults, in milliseconds: what a provider call may take, and the delays before each retry. */
const PROVIDER_TIMEOUT = 120_000;
const RETRY_DELAYS = [5_000, 30_000];
const LATER_RETRY_DELAY = 120_000;
/** For everything but provider calls and delays. */
const MARGIN = 10_000;
/** More than these the server refuses: the deadline grows no more. */
const MOST_RETRIES = 1_000;

/** The values that a prompt is rendered with: those of JSON. What is undefined is not sent. */
export type Variables = Readonly<Record<string, unknown>>;

/** What every call may be told. */
export interface CallOptions {
  /** Ends the call: it throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Bounds the call, its repeats included, in milliseconds, instead of its default. */
  readonly deadlineMs?: number | undefined;
}

/** Which version; the active one where nothing is given, else one of the three. */
export interface VersionChoice {
  readonly version?: number | undefined;
  /** The version that a label points at. */
  readonly label?: string | undefined;
  /** The version with that content. */
  readonly checksumHash?: string | undefined;
}

/** What an execution may be told, beside the prompt and its variables. All of it is optional. */
export interface SpecOptions extends VersionChoice {
  /** For reports: `dev`, `staging`, `prod`. It never selects a version. */
  readonly environment?: string | undefined;
  /** Ready messages instead of variables; tracking mode only. */
  readonly messages?: readonly ChatMessage[] | undefined;
  readonly model?: Model | undefined;
  /** They win over those of the version. */
  readonly params?: ModelParams | undefined;
  readonly tools?: readonly Tool[] | undefined;
  readonly toolChoice?: ToolChoice | undefined;
  readonly responseFormat?: ResponseFormat | undefined;
  /** What of the version's config to leave out. */
  readonly without?: readonly string[] | undefined;
  readonly correlationId?: string | undefined;
  /** Yours, to find executions by. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Makes the call safe to repeat. */
  readonly idempotencyKey?: string | undefined;
  /** Whether to execute again where the execution that has the key has failed. */
  readonly retryFailed?: boolean | undefined;
  /** Bounds each call of the provider, in milliseconds; 120,000 where it is absent. */
  readonly timeoutMs?: number | undefined;
  /** Bounds the whole life of the execution, in milliseconds. */
  readonly expireAfterMs?: number | undefined;
  readonly maxRetries?: number | undefined;
  /** Whether watchers see the text while the model writes it; always so for `stream`. */
  readonly streamText?: boolean | undefined;
  /** The least revision to resolve the prompt at. */
  readonly minRevision?: number | undefined;
}

/** The message for these options. Variables are absent where ready messages are sent. */
export function executionSpec(name: string, variables: Variables | undefined, options: SpecOptions): ExecutionSpec {
  const { messages, tools, timeoutMs, expireAfterMs, minRevision } = options;
  const spec = create(ExecutionSpecSchema, {
    promptName: name,
    selector: selector(options),
    environment: options.environment ?? "",
    messages: (messages ?? []).map((each, index) => chatMessage(each, `messages[${String(index)}]`)),
    tools: (tools ?? []).map((each, index) => tool(each, `tools[${String(index)}]`)),
    without: [...(options.without ?? [])],
    correlationId: options.correlationId ?? "",
    metadata: { ...options.metadata },
    idempotencyKey: options.idempotencyKey ?? "",
    retryFailed: options.retryFailed ?? false,
  });
  if (variables !== undefined) {
    spec.variables = object(variables, "variables");
  }
  if (options.model !== undefined) {
    spec.model = modelRef(options.model);
  }
  if (options.params !== undefined) {
    spec.params = modelParams(options.params);
  }
  if (options.toolChoice !== undefined) {
    spec.toolChoice = toolChoice(options.toolChoice);
  }
  if (options.responseFormat !== undefined) {
    spec.responseFormat = responseFormat(options.responseFormat);
  }
  if (timeoutMs !== undefined) {
    spec.timeout = duration(timeoutMs, "timeout");
  }
  if (expireAfterMs !== undefined) {
    spec.expireAfter = duration(expireAfterMs, "expire_after");
  }
  if (options.maxRetries !== undefined) {
    spec.maxRetries = options.maxRetries;
  }
  if (options.streamText !== undefined) {
    spec.streamText = options.streamText;
  }
  if (minRevision !== undefined) {
    spec.minRevision = BigInt(minRevision);
  }
  return spec;
}

/** The version that is chosen, as the contract's oneof. */
export function selector(choice: VersionChoice): ExecutionSpec["selector"] {
  const { version, label, checksumHash } = choice;
  const given = Object.entries({ version, label, checksumHash }).filter(([, value]) => value !== undefined);
  if (given.length > 1) {
    const names = given.map(([name]) => name).join(" and ");
    throw new InvalidOptions(`${names} select a version each: give one of them`);
  }
  if (version !== undefined) {
    return { case: "versionNumber", value: version };
  }
  if (label !== undefined) {
    return { case: "label", value: label };
  }
  return checksumHash === undefined ? { case: undefined } : { case: "checksumHash", value: checksumHash };
}

/** How many milliseconds a call may take that executes within it: all its attempts, and the delays between them. */
export function executionDeadline(spec: ExecutionSpec): number {
  const timeout = spec.timeout === undefined ? 0 : milliseconds(spec.timeout);
  // None, or one that the server refuses.
  const once = timeout > 0 ? timeout : PROVIDER_TIMEOUT;
  const retries = Math.min(Math.max(spec.maxRetries ?? 0, 0), MOST_RETRIES);
  const first = RETRY_DELAYS.slice(0, retries);
  const delays = first.reduce((sum, each) => sum + each, 0) + (retries - first.length) * LATER_RETRY_DELAY;
  return once * (1 + retries) + delays + MARGIN;
}
