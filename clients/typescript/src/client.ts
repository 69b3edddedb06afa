/** The client. */

import { inspect } from "node:util";

import { PromptCache, type PromptCacheOptions } from "./cache/prompt-cache.ts";
import { type ExecutionFilter, listExecutions, run, submit, type TailFilter, tailRequest } from "./calls/executions.ts";
import { registerPrompts, type RegisterOptions, type Registration } from "./code-prompts/registration.ts";
import { type CodePromptSource, readSource } from "./code-prompts/source.ts";
import { CodeHashes } from "./executing.ts";
import { Handle, type WatchOptions } from "./handle.ts";
import { type RawStubs, Transport } from "./io/transport.ts";
import { type ConnectOptions, settingsOf } from "./options/settings.ts";
import { Prompts } from "./prompts.ts";
import type { Execution } from "./records/execution.ts";
import type { CallOptions, SpecOptions, Variables } from "./spec.ts";
import { Follower } from "./steps/follower.ts";
import { Tail, Updates } from "./watching.ts";

/** A client of one ledger. It connects with the first call, and again when the connection breaks. */
export class PromptLedger implements AsyncDisposable {
  readonly prompts: Prompts;
  /** Where it connects to. */
  readonly server: string;
  readonly #transport: Transport;
  readonly #code: CodeHashes;

  constructor(options: ConnectOptions = {}) {
    const settings = settingsOf(options, process.env);
    this.server = settings.server;
    this.#transport = new Transport(settings);
    this.#code = new CodeHashes(settings.trackingOnly);
    this.prompts = new Prompts(this.#transport);
  }

  /** The generated stubs over the same connection. */
  get raw(): RawStubs {
    return this.#transport.raw;
  }

  /** Executes a prompt within the call. A failed execution is a result: `raiseForStatus` makes it an error. */
  async run(prompt: string, variables?: Variables, options: SpecOptions & CallOptions = {}): Promise<Execution> {
    const executed = this.#code.executed(prompt, variables, options);
    return this.#transport.call(run(executed, options.deadlineMs), options);
  }

  /** Executes a prompt that is in code: the text that this client registered, where it did. */
  async execute(prompt: string, variables?: Variables, options: SpecOptions & CallOptions = {}): Promise<Execution> {
    const executed = this.#code.executed(prompt, variables, options, { tracking: true });
    return this.#transport.call(run(executed, options.deadlineMs), options);
  }

  /**
   * Executes a prompt and tells what happens. It begins with the first read. Without an idempotency key, to close it is to
   * cancel the execution.
   */
  stream(prompt: string, variables?: Variables, options: SpecOptions & Pick<CallOptions, "signal"> = {}): Updates {
    const executed = this.#code.executed(prompt, variables, options);
    return new Updates(this.#transport, new Follower(executed), options.signal);
  }

  /** Hands an execution over to a worker. Where no idempotency key is given it gets one, so that repeats are safe. */
  async submit(prompt: string, variables?: Variables, options: SpecOptions & CallOptions = {}): Promise<Handle> {
    const executed = this.#code.executed(prompt, variables, options, { keyed: true });
    const submission = await this.#transport.call(submit(executed, options.deadlineMs), options);
    return new Handle(this.#transport, submission.id, submission);
  }

  /** A handle of an execution that is known by its id. */
  handle(executionId: string): Handle {
    return new Handle(this.#transport, executionId);
  }

  /** Executions that match, the newest first; without their texts, but with `full`. */
  executions(filter: ExecutionFilter & CallOptions = {}): AsyncIterableIterator<Execution> {
    return this.#transport.pages(listExecutions(filter), filter);
  }

  /** What happens to an execution. */
  watch(executionId: string, options: WatchOptions = {}): Updates {
    return this.handle(executionId).watch(options);
  }

  /** What happens to all executions that match, without end. */
  tail(filter: TailFilter & Pick<CallOptions, "signal"> = {}): Tail {
    return new Tail(this.#transport, tailRequest(filter), filter.signal);
  }

  /**
   * Registers prompts that live in code, all or none; `execute` then runs the text in hand. With `dryRun` nothing is written,
   * and the answer says what would be.
   */
  async registerCodePrompts(
    source: CodePromptSource,
    options: RegisterOptions & CallOptions = {},
  ): Promise<Registration> {
    const registration = await this.#transport.program(registerPrompts(readSource(source), options), options);
    if (options.dryRun !== true) {
      this.#code.keep(registration);
    }
    return registration;
  }

  /** Keeps prompts in memory, as they are in the ledger. All of the project where neither names nor a prefix are given. */
  promptCache(options: PromptCacheOptions = {}): PromptCache {
    return new PromptCache(this.#transport, options);
  }

  /** Ends all calls and watches. Nothing can be called afterwards. */
  close(): Promise<void> {
    this.#transport.close();
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  toString(): string {
    return `PromptLedger(${this.server})`;
  }

  /** @internal */
  [inspect.custom](): string {
    return this.toString();
  }
}

/**
 * A client of the server that is given, or else of the one that the environment or the file of profiles names, or else of
 * `prompt-ledger dev` on this machine.
 */
export function connect(options: ConnectOptions = {}): PromptLedger {
  return new PromptLedger(options);
}
