/** Which texts a client has registered, and the specs that execute them. */

import type { Registration } from "./code-prompts/registration.ts";
import { uuid7 } from "./ids.ts";
import { executionSpec, type SpecOptions, type Variables } from "./spec.ts";
import type { Executed } from "./steps/follower.ts";

/**
 * The hashes of the texts that this process carries, by the prompts' names: whoever executes one runs its own text, also while
 * another release registers another.
 */
export class CodeHashes {
  readonly #trackingOnly: boolean;
  readonly #hashes = new Map<string, string>();

  constructor(trackingOnly: boolean) {
    this.#trackingOnly = trackingOnly;
  }

  keep(registration: Registration): void {
    for (const { name, checksumHash } of registration.registered) {
      this.#hashes.set(name, checksumHash);
    }
  }

  /** What to execute. `keyed` gives it an idempotency key where it has none. */
  executed(
    prompt: string,
    variables: Variables | undefined,
    options: SpecOptions,
    { tracking, keyed = false }: { readonly tracking?: boolean; readonly keyed?: boolean } = {},
  ): Executed {
    const spec = executionSpec(prompt, variables, options);
    const hash = this.#hashes.get(prompt);
    const isTracking = tracking ?? (this.#trackingOnly || hash !== undefined);
    if (isTracking && hash !== undefined && spec.selector.case === undefined) {
      spec.selector = { case: "checksumHash", value: hash };
    }
    if (keyed && spec.idempotencyKey === "") {
      spec.idempotencyKey = uuid7();
    }
    return { spec, tracking: isTracking };
  }
}
