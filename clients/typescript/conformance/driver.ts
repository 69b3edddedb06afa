/** The steps of a scenario, with one client. */

import { setTimeout as sleep } from "node:timers/promises";

import {
  type Handle,
  LedgerError,
  NotSynced,
  type PromptCache,
  type PromptLedger,
  type PromptVersion,
  type Tail,
  type TailUpdate,
  type Update,
  Updates,
} from "../src/index.ts";
import {
  errorLine,
  executionFields,
  type Line,
  print,
  promptFields,
  updateLine,
  versionFields,
  word,
} from "./lines.ts";
import { codePromptOf, type Json, milliseconds, putOf, specOf, type Step, tailOf } from "./scenario.ts";

/** How long `cache.until` and `cache.stale` wait, and how often they look, in milliseconds. */
const UNTIL = 60_000;
const OFTEN = 5;

/** What a step says, as the types that its arguments have. */
interface Arguments {
  readonly name: string;
  readonly names: string[];
  readonly name_prefix: string;
  readonly id: string;
  readonly of: string;
  readonly as: string;
  readonly reason: string;
  readonly label: string;
  readonly version: number;
  readonly etag: string;
  readonly timeout: number;
  readonly page_size: number;
  readonly after_sequence: number;
  readonly max_retries: number;
  readonly idempotency_key: string;
  readonly variables: Json;
  readonly spec: Json;
  readonly request: Json;
  readonly filter: Json;
  readonly prompts: Json[];
  readonly dry_run: boolean;
  readonly set_active: boolean;
  readonly wait: boolean;
  readonly is: boolean;
  readonly raise: boolean;
  readonly until: Json;
}

type Given = Step & Partial<Arguments>;

export class Driver {
  readonly #ledger: PromptLedger;
  readonly #pause: () => Promise<void>;
  readonly #begun = new Map<string, unknown>();
  #step = 0;

  constructor(ledger: PromptLedger, pause: () => Promise<void>) {
    this.#ledger = ledger;
    this.#pause = pause;
  }

  async perform(index: number, step: Given): Promise<void> {
    this.#step = index;
    const action = this.#steps[step.do];
    if (action === undefined) {
      this.#say("unsupported");
      return;
    }
    try {
      await action(step);
    } catch (error) {
      if (!(error instanceof LedgerError)) {
        throw error;
      }
      this.#print(errorLine(error));
    }
  }

  readonly #steps: Readonly<Record<string, (step: Given) => Promise<void>>> = {
    // Executions.
    run: async (step) => {
      const { prompt, variables, options } = specOf(step.spec ?? {});
      const result = await this.#ledger.run(prompt, variables, options);
      this.#say("result", executionFields(result));
      if (step.raise === true) {
        result.raiseForStatus();
      }
    },
    execute: async (step) => {
      const result = await this.#ledger.execute(step.name ?? "", step.variables, {
        idempotencyKey: step.idempotency_key,
        maxRetries: step.max_retries,
        timeoutMs: milliseconds(step.timeout),
      });
      this.#say("result", executionFields(result));
    },
    stream: async (step) => {
      const { prompt, variables, options } = specOf(step.spec ?? {});
      await this.#read(this.#ledger.stream(prompt, variables, options), step);
    },
    submit: async (step) => {
      const { prompt, variables, options } = specOf(step.spec ?? {});
      const handle = await this.#ledger.submit(prompt, variables, options);
      this.#begun.set(step.as ?? "", handle);
      this.#say("submitted", { execution_id: handle.id, status: word(handle.status), reused: handle.reused });
    },
    handle: async (step) => {
      this.#begun.set(step.as ?? "", this.#ledger.handle(step.id ?? ""));
      return Promise.resolve();
    },
    watch: async (step) => {
      await this.#read(this.#handle(step).watch({ afterSequence: step.after_sequence }), step);
    },
    tail: async (step) => {
      await this.#read(this.#ledger.tail(tailOf(step.filter ?? {})), step);
    },
    read: async (step) => {
      await this.#read(this.#found(step) as Updates | Tail, step);
    },
    stop: async (step) => {
      await (this.#found(step) as Updates | Tail).close();
    },
    result: async (step) => {
      const result = await this.#handle(step).result({ timeoutMs: milliseconds(step.timeout) });
      this.#say("result", executionFields(result));
    },
    get: async (step) => {
      this.#say("execution", executionFields(await this.#handle(step).get()));
    },
    cancel: async (step) => {
      this.#say("execution", executionFields(await this.#handle(step).cancel(step.reason)));
    },

    // Prompts.
    "prompts.put": async (step) => {
      const { name, content, options } = putOf(step.request ?? {});
      const written = await this.#ledger.prompts.put(name, content, options);
      this.#say("put", {
        name: written.prompt.name,
        version: written.version.number,
        version_change: written.versionChange,
        activated: written.activated,
      });
    },
    "prompts.get": async (step) => {
      this.#say("prompt", promptFields(await this.#ledger.prompts.get(step.name ?? "")));
    },
    "prompts.list": async (step) => {
      const { page_size: pageSize, name_prefix: namePrefix } = (step.request ?? {}) as Partial<Arguments>;
      for await (const found of this.#ledger.prompts.list({ pageSize, namePrefix })) {
        this.#say("prompt", promptFields(found));
      }
    },
    "prompts.versions": async (step) => {
      for await (const found of this.#ledger.prompts.versions(step.name ?? "", { pageSize: step.page_size })) {
        this.#say("version", versionFields(found));
      }
    },
    "prompts.history": async (step) => {
      for await (const found of this.#ledger.prompts.history(step.name ?? "", { pageSize: step.page_size })) {
        this.#say("version", versionFields(found));
      }
    },
    "prompts.activate": async (step) => {
      const { name = "", version = 0, etag } = step;
      this.#say("prompt", promptFields(await this.#ledger.prompts.activate(name, version, { etag })));
    },
    "prompts.label": async (step) => {
      const { name = "", label = "", version = 0 } = step;
      this.#say("prompt", promptFields(await this.#ledger.prompts.label(name, label, version)));
    },
    "prompts.render": async (step) => {
      const { name = "", variables, label, version } = step;
      const { text, messages } = await this.#ledger.prompts.render(name, variables, { label, version });
      this.#say("rendered", { text, messages });
    },
    "prompts.archive": async (step) => {
      this.#say("prompt", promptFields(await this.#ledger.prompts.archive(step.name ?? "")));
    },
    "prompts.changes": async (step) => {
      for await (const change of this.#ledger.prompts.changes(step.name, { pageSize: step.page_size })) {
        const { promptName: name, kind, versionNumber: version, label, from, to } = change;
        this.#say("change", { name, kind: word(kind), version, label, from, to });
      }
    },
    "prompts.batch_get": async (step) => {
      const batch = await this.#ledger.prompts.batchGet(step.names ?? [], { label: step.label });
      for (const found of batch.found) {
        this.#say("prompt", promptFields(found));
      }
      if (batch.missing.length > 0) {
        this.#say("missing", { names: batch.missing });
      }
    },
    register: async (step) => {
      const options = { dryRun: step.dry_run, setActive: step.set_active };
      const { registered } = await this.#ledger.registerCodePrompts((step.prompts ?? []).map(codePromptOf), options);
      for (const each of registered) {
        this.#say("registered", {
          name: each.name,
          action: word(each.action),
          version: each.version,
          change_detected: each.changeDetected,
          previous_version: each.previousVersion,
          checksum_hash: each.checksumHash,
        });
      }
    },

    // The cache.
    "cache.open": async (step) => {
      const cache = this.#ledger.promptCache({ names: step.names, namePrefix: step.name_prefix });
      this.#begun.set(step.as ?? "", cache);
      if (step.wait !== false) {
        await cache.synced();
        this.#say("synced");
      }
    },
    "cache.get": async (step) => {
      this.#sayCached(step);
      return Promise.resolve();
    },
    "cache.until": async (step) => {
      await until(() => (this.#cached(step)?.number ?? null) === step.version);
      this.#sayCached(step);
    },
    "cache.stale": async (step) => {
      const cache = this.#found(step) as PromptCache;
      await until(() => (cache.staleSince !== undefined) === step.is);
      this.#say("stale", { is: cache.staleSince !== undefined });
    },
    pause: async () => {
      this.#say("pause");
      await this.#pause();
    },
  };

  /** Prints updates, to the one that `until` tells or to the end. */
  async #read(updates: Updates | Tail, step: Given): Promise<void> {
    if (step.as !== undefined) {
      this.#begun.set(step.as, updates);
    }
    const wanted = step.until === undefined ? undefined : Object.entries(step.until);
    for (;;) {
      const { done, value }: IteratorResult<Update | TailUpdate, void> = await updates.next();
      if (done === true) {
        return;
      }
      const line = this.#print(updateLine(value));
      const known: Json = updates instanceof Updates ? { ...line, so_far: updates.text } : line;
      if (wanted?.every(([key, expected]) => known[key] === expected) === true) {
        return;
      }
    }
  }

  #handle(step: Given): Handle {
    return step.of === undefined ? this.#ledger.handle(step.id ?? "") : (this.#found(step) as Handle);
  }

  #found(step: Given): unknown {
    return this.#begun.get(step.of ?? "");
  }

  #cached(step: Given): PromptVersion | undefined {
    try {
      return (this.#found(step) as PromptCache).get(step.name ?? "", step.label);
    } catch (error) {
      if (error instanceof NotSynced) {
        return undefined;
      }
      throw error;
    }
  }

  #sayCached(step: Given): void {
    const found = this.#cached(step);
    this.#say("cached", { name: step.name, version: found?.number ?? null, template: found?.template });
  }

  #say(saw: string, fields: Json = {}): Line {
    return this.#print({ saw, ...fields });
  }

  #print(line: Line): Line {
    const whole = { ...line, step: this.#step };
    print(whole);
    return whole;
  }
}

async function until(isEnough: () => boolean): Promise<void> {
  const ends = performance.now() + UNTIL;
  while (!isEnough() && performance.now() < ends) {
    await sleep(OFTEN);
  }
}
