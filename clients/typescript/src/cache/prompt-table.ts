/** The prompts that a cache holds, and the order in which they have changed. No I/O, no clock. */

import { equals, fromBinary, toBinary } from "@bufbuild/protobuf";

import { type PromptChange, PromptChangeSchema } from "../gen/promptledger/v1/registry_watch_pb.js";
import { Prompt, PromptVersion } from "../records/prompt.ts";

/** A prompt, with the versions that can be asked for: the active one, and those that labels point at. */
class HeldPrompt {
  /** A whole `PromptChange`, encoded: far smaller than the message, and compared at once. */
  readonly encoded: Uint8Array;
  #read: { readonly prompt: Prompt; readonly versions: ReadonlyMap<number, PromptVersion> } | undefined;

  constructor(encoded: Uint8Array) {
    this.encoded = encoded;
  }

  get prompt(): Prompt {
    return this.#records().prompt;
  }

  /** The active version, or the one that a label points at. */
  version(label: string | undefined): PromptVersion | undefined {
    const { prompt, versions } = this.#records();
    const isActive = label === undefined || label === "active";
    const number = isActive ? prompt.activeVersion : ownNumber(prompt.labels, label);
    return number === undefined ? undefined : versions.get(number);
  }

  /** The records, made when they are first asked for. */
  #records(): { readonly prompt: Prompt; readonly versions: ReadonlyMap<number, PromptVersion> } {
    this.#read ??= recordsOf(fromBinary(PromptChangeSchema, this.encoded));
    return this.#read;
  }
}

function ownNumber(labels: Readonly<Record<string, number>>, label: string): number | undefined {
  return Object.hasOwn(labels, label) ? labels[label] : undefined;
}

function recordsOf(state: PromptChange): {
  readonly prompt: Prompt;
  readonly versions: ReadonlyMap<number, PromptVersion>;
} {
  if (state.prompt === undefined) {
    throw new TypeError("a state without its prompt");
  }
  const { activeVersion, labelledVersions } = state;
  const versions = activeVersion === undefined ? labelledVersions : [activeVersion, ...labelledVersions];
  return {
    prompt: new Prompt(state.prompt, activeVersion),
    versions: new Map(versions.map((each) => [each.versionNumber, new PromptVersion(each)])),
  };
}

/** Whether two encodings are of the same state: of maps the order may differ. */
function isSame(one: Uint8Array, other: Uint8Array): boolean {
  if (one.byteLength !== other.byteLength) {
    return false;
  }
  const read = (encoded: Uint8Array): PromptChange => fromBinary(PromptChangeSchema, encoded);
  return Buffer.compare(one, other) === 0 || equals(PromptChangeSchema, read(one), read(other));
}

/** Prompts by name. Each change makes an edition, so that a listener is a number: what came behind it is new to it. */
export class PromptTable {
  readonly #prompts = new Map<string, HeldPrompt>();
  /** The edition of the last change of each name, of those that are gone too; in the order of the editions. */
  readonly #changed = new Map<string, number>();
  #edition = 0;

  /** The number of changes; 0 before the first. */
  get edition(): number {
    return this.#edition;
  }

  /** The names of all prompts, sorted. */
  names(): string[] {
    return [...this.#prompts.keys()].sort();
  }

  prompt(name: string): Prompt | undefined {
    return this.#prompts.get(name)?.prompt;
  }

  version(name: string, label: string | undefined): PromptVersion | undefined {
    return this.#prompts.get(name)?.version(label);
  }

  /** Each prompt's state, encoded. */
  *states(): Generator<Uint8Array> {
    for (const held of this.#prompts.values()) {
      yield held.encoded;
    }
  }

  /** Holds this state in the place of an earlier one. The same state again is no change. Returns the name where it is one. */
  put(state: PromptChange): string | undefined {
    const name = state.prompt?.name;
    if (name === undefined) {
      return undefined;
    }
    const encoded = toBinary(PromptChangeSchema, state);
    const before = this.#prompts.get(name)?.encoded;
    if (before !== undefined && isSame(before, encoded)) {
      return undefined;
    }
    this.#prompts.set(name, new HeldPrompt(encoded));
    this.#note(name);
    return name;
  }

  /** Drops all other prompts than these. Returns the names of those that were there. */
  keepOnly(names: ReadonlySet<string>): string[] {
    const gone = [...this.#prompts.keys()].filter((name) => !names.has(name));
    for (const name of gone) {
      this.#prompts.delete(name);
      this.#note(name);
    }
    return gone;
  }

  /** The names of the prompts that have changed since this edition, or are gone, each once, in the order of their changes. */
  changedSince(edition: number): string[] {
    if (edition >= this.#edition) {
      return [];
    }
    return [...this.#changed].filter(([, changed]) => changed > edition).map(([name]) => name);
  }

  #note(name: string): void {
    this.#edition += 1;
    // Deleted first, so that it becomes the last one.
    this.#changed.delete(name);
    this.#changed.set(name, this.#edition);
  }
}
