/** Prompts in memory. */

import { fileURLToPath } from "node:url";

import type { WatchPromptsResponse } from "../gen/promptledger/v1/registry_watch_pb.js";
import { ClientClosed, DeadlineExceeded, LedgerError } from "../errors/index.ts";
import { Following } from "../io/following.ts";
import type { Transport } from "../io/transport.ts";
import type { Prompt, PromptVersion } from "../records/prompt.ts";
import { PromptReader, type PromptUpdate } from "../steps/prompt-reader.ts";
import { CacheFile } from "./cache-file.ts";
import { type ChangeListener, HeldPrompts } from "./held-prompts.ts";

/** Which prompts a cache holds. */
export interface PromptCacheOptions {
  /** Prompts of these names. */
  readonly names?: readonly string[] | undefined;
  /** Prompts whose name begins so, beside those of `names`. */
  readonly namePrefix?: string | undefined;
  /**
   * Where the prompts are kept for the next start: a path, or a `file:` URL. A file of another server, project, key or selection is
   * ignored, and replaced: so the first start with a new key waits for the server. The file does not have the key.
   */
  readonly file?: string | URL | undefined;
}

/** How long to wait. */
export interface WaitOptions {
  /** Milliseconds; 30,000 where it is absent, `Infinity` for no end. */
  readonly timeoutMs?: number | undefined;
  /** Ends the waiting: it throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** How long to wait, in milliseconds; and the most that a timer takes. */
const WAIT = 30_000;
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Prompts in memory, each with its active version and those that its labels point at, as they are in the ledger.
 *
 * A change is here within a moment of its write. Reading is no call and never waits. While the server is away the last state is
 * served, and {@link PromptCache.staleSince} says since when. However often a stream breaks, another is opened: only a refusal
 * that would be repeated ends that, such as a key that is revoked ({@link PromptCache.failure}).
 */
export class PromptCache implements AsyncDisposable {
  readonly #held: HeldPrompts;
  readonly #following: Following<WatchPromptsResponse, PromptUpdate>;
  readonly #feeding: Promise<void>;
  #isClosed = false;

  /** @internal */
  constructor(transport: Transport, { names = [], namePrefix = "", file }: PromptCacheOptions) {
    const { server, project, target, logger } = transport.settings;
    const path = file instanceof URL ? fileURLToPath(file) : file;
    const source = { server, project, key: target.key, names, namePrefix };
    this.#held = new HeldPrompts(path === undefined ? undefined : new CacheFile(path, source), logger);
    // What is held is of use however long the server is away.
    this.#following = new Following(transport, new PromptReader(names, namePrefix), { patienceMs: Infinity });
    this.#feeding = this.#feed();
  }

  /**
   * The active version of a prompt, or the one that a label points at; undefined where there is no such prompt or label, or
   * where it is not watched. `latest` is not held. Before the cache was first filled it throws a {@link NotSynced}.
   */
  get(name: string, label?: string): PromptVersion | undefined {
    return this.#held.get(name, label);
  }

  /** The prompt of this name, archived ones too; undefined as for {@link PromptCache.get}. */
  prompt(name: string): Prompt | undefined {
    return this.#held.prompt(name);
  }

  /** The names of the prompts that are held, sorted. */
  names(): string[] {
    return this.#held.table.names();
  }

  /** Waits until there is something to read: at once where a file was read, else until the server has told all. */
  ready(options: WaitOptions = {}): Promise<this> {
    return this.#until(() => this.#held.isFilled, options);
  }

  /** Waits until the server has told every prompt that is watched. */
  synced(options: WaitOptions = {}): Promise<this> {
    return this.#until(() => this.#held.isSynced, options);
  }

  /** Waits until every change up to this revision is here, such as the one that a write answered. */
  reached(revision: number, options: WaitOptions = {}): Promise<this> {
    return this.#until(() => this.#held.isSynced && this.#held.revision >= revision, options);
  }

  /** Calls back with the name of each prompt that has changed, has come or is gone. Returns what ends that. */
  onChange(listener: ChangeListener): () => void {
    return this.#held.listen(listener);
  }

  /**
   * The names of the prompts that have changed, from now on, as often as there are such that can be read: of a cache that is
   * not filled yet, those of all that it is filled with. Who reads slowly is told several changes of a prompt as one, and delays
   * nobody. It ends when the cache is closed.
   */
  changes({ signal }: Pick<WaitOptions, "signal"> = {}): AsyncGenerator<string[], void, undefined> {
    return this.#changesSince(this.#held.isFilled ? this.#held.table.edition : 0, signal);
  }

  async *#changesSince(seen: number, signal: AbortSignal | undefined): AsyncGenerator<string[], void, undefined> {
    const { table } = this.#held;
    const hasNews = (): boolean => this.#held.isFilled && table.edition > seen;
    for (;;) {
      await this.#until(() => this.#isClosed || hasNews(), { timeoutMs: Infinity, signal });
      if (!hasNews()) {
        return;
      }
      const names = table.changedSince(seen);
      seen = table.edition;
      yield names;
    }
  }

  /** The project's revision up to which every change is here; 0 before all has been told. */
  get revision(): number {
    return this.#held.revision;
  }

  /** Since when changes may be missing; undefined while nothing is missing. */
  get staleSince(): Date | undefined {
    return this.#held.staleSince;
  }

  /** Why the cache will not be fed any more; undefined while it is. */
  get failure(): LedgerError | undefined {
    return this.#held.failure;
  }

  /** Ends the watch, and writes the file. What is held can still be read. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#following.close();
    await this.#feeding;
    this.#held.apply({ kind: "behind" });
    await this.#held.save();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #until(isEnough: () => boolean, { timeoutMs = WAIT, signal }: WaitOptions): Promise<this> {
    const until = performance.now() + timeoutMs;
    while (!isEnough()) {
      signal?.throwIfAborted();
      if (this.#held.failure !== undefined) {
        throw this.#held.failure;
      }
      if (this.#isClosed) {
        throw new ClientClosed("the cache was closed");
      }
      const left = until - performance.now();
      if (left <= 0) {
        throw new DeadlineExceeded("the prompts did not come in time");
      }
      await this.#change(left, signal);
    }
    return this;
  }

  /** Waits for a change, at most so many milliseconds or until the signal is aborted. */
  async #change(within: number, signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        forget();
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      // One without end keeps the process alive as a read would.
      const timer = setTimeout(wake, Math.min(within, LONGEST_TIMER));
      const forget = this.#held.onceChanged(wake);
      signal?.addEventListener("abort", wake);
    });
  }

  async #feed(): Promise<void> {
    try {
      for (;;) {
        const update = await this.#following.next();
        if (update === undefined) {
          return;
        }
        this.#held.apply(update);
      }
    } catch (error) {
      this.#held.failed(error instanceof LedgerError ? error : new LedgerError(String(error), { cause: error }));
    }
  }
}
