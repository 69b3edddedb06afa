/** What a cache holds, since when it is out of date, and who is told of changes. */

import { type LedgerError, NotSynced } from "../errors/index.ts";
import type { Logger } from "../options/logger.ts";
import type { Prompt, PromptVersion } from "../records/prompt.ts";
import type { PromptUpdate } from "../steps/prompt-reader.ts";
import type { CacheFile } from "./cache-file.ts";
import { PromptTable } from "./prompt-table.ts";

/** Told the name of a prompt that has changed, has come, or is gone. */
export type ChangeListener = (name: string) => unknown;

/** Prompts in memory. One feeds it; any may read, without waiting. */
export class HeldPrompts {
  readonly table = new PromptTable();
  /** The project's revision up to which every change is here; 0 before all has been told. */
  revision = 0;
  /** There is something to read: of the server, or of the file. */
  isFilled = false;
  /** Everything that was there has been told by the server. */
  isSynced = false;
  /** Since when changes may be missing; undefined while nothing is missing. */
  staleSince: Date | undefined;
  /** Why nothing will be told any more. */
  failure: LedgerError | undefined;
  readonly #file: CacheFile | undefined;
  readonly #logger: Logger;
  readonly #listeners = new Set<ChangeListener>();
  readonly #waiting = new Set<() => void>();
  /** The names of what has changed and was not told yet. */
  #untold: string[] = [];
  /** When the last message came by which nothing was missing. */
  #currentAt = new Date();
  /** The edition that the file has; undefined where it has none. */
  #kept: number | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(file: CacheFile | undefined, logger: Logger) {
    this.#file = file;
    this.#logger = logger;
    this.#load();
    this.staleSince = this.#currentAt;
  }

  get(name: string, label: string | undefined): PromptVersion | undefined {
    this.#checkFilled();
    return this.table.version(name, label);
  }

  prompt(name: string): Prompt | undefined {
    this.#checkFilled();
    return this.table.prompt(name);
  }

  listen(listener: ChangeListener): () => void {
    // A function of its own: the same listener may be given twice.
    const own: ChangeListener = (name) => listener(name);
    this.#listeners.add(own);
    return () => {
      this.#listeners.delete(own);
    };
  }

  apply(update: PromptUpdate): void {
    switch (update.kind) {
      case "put": {
        const name = this.table.put(update.state);
        if (name !== undefined) {
          this.#untold.push(name);
        }
        break;
      }
      case "only":
        this.#untold = [...this.#untold, ...this.table.keepOnly(update.names)];
        break;
      case "reached":
        this.revision = Number(update.revision);
        break;
      case "current":
        this.isFilled = true;
        this.isSynced = true;
        this.staleSince = undefined;
        this.#currentAt = new Date();
        void this.save();
        break;
      case "behind":
        this.staleSince ??= this.#currentAt;
        break;
    }
    this.#tell();
    this.#wake();
  }

  /** Nothing will be told any more. */
  failed(failure: LedgerError): void {
    this.staleSince ??= this.#currentAt;
    this.failure = failure;
    this.#wake();
  }

  /** Calls back once, when something has changed; returns what ends that. */
  onceChanged(waiting: () => void): () => void {
    this.#waiting.add(waiting);
    return () => {
      this.#waiting.delete(waiting);
    };
  }

  /** Writes the file, where it does not have what is held. Never rejects. */
  save(): Promise<void> {
    const file = this.#file;
    if (file !== undefined) {
      this.#writing = this.#writing.then(() => this.#write(file));
    }
    return this.#writing;
  }

  async #write(file: CacheFile): Promise<void> {
    const { edition } = this.table;
    if (!this.isSynced || this.#kept === edition) {
      return;
    }
    try {
      await file.write(this.table.states(), this.#currentAt);
      this.#kept = edition;
    } catch (error) {
      // The next message by which nothing is missing tries again.
      this.#logger.warn(`the prompts could not be kept in ${file.path}: ${text(error)}`);
    }
  }

  #load(): void {
    try {
      const kept = this.#file?.read();
      if (kept === undefined) {
        return;
      }
      for (const state of kept.states) {
        this.table.put(state);
      }
      this.isFilled = true;
      this.#currentAt = kept.currentAt;
    } catch (error) {
      this.#logger.warn(`the prompts kept in ${this.#file?.path ?? ""} cannot be read: ${text(error)}`);
    }
  }

  #checkFilled(): void {
    if (!this.isFilled) {
      throw this.failure ?? new NotSynced("the cache has not been filled yet: wait for it once, by `ready`");
    }
  }

  /** Tells listeners of changes, once these can be read. */
  #tell(): void {
    if (!this.isFilled) {
      return;
    }
    const names = new Set(this.#untold);
    this.#untold = [];
    for (const name of names) {
      for (const listener of [...this.#listeners]) {
        void this.#tellOne(listener, name);
      }
    }
  }

  /** Calls a listener, at once. One that fails, also later, harms nobody. */
  async #tellOne(listener: ChangeListener, name: string): Promise<void> {
    try {
      await listener(name);
    } catch (error) {
      this.#logger.warn(`a listener of the prompt cache failed: ${text(error)}`);
    }
  }

  #wake(): void {
    for (const waiting of [...this.#waiting]) {
      this.#waiting.delete(waiting);
      waiting();
    }
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
