/** Reads the streams of prompts. */

import { create } from "@bufbuild/protobuf";

import { LedgerError, type StatusCode } from "../errors/index.ts";
import { RegistryService } from "../gen/promptledger/v1/registry_pb.js";
import {
  type PromptChange,
  WatchPromptsRequestSchema,
  type WatchPromptsResponse,
} from "../gen/promptledger/v1/registry_watch_pb.js";
import { Reader, type StreamCall, streamCall, type Taken } from "./machine.ts";
import type { Failure } from "./retry.ts";

/**
 * What a stream of prompts comes to:
 *
 * - `put`: a prompt's whole present state,
 * - `only`: no other prompts than these are there,
 * - `reached`: everything up to this revision has been told,
 * - `current`: nothing is missing,
 * - `behind`: something may be missing: the stream broke, or the server knows of changes that it has not sent.
 */
export type PromptUpdate =
  | { readonly kind: "put"; readonly state: PromptChange }
  | { readonly kind: "only"; readonly names: ReadonlySet<string> }
  | { readonly kind: "reached"; readonly revision: bigint }
  | { readonly kind: "current" }
  | { readonly kind: "behind" };

/** Too much is asked at once, a server failed, or is of a release that does not know the call: that passes. */
const PASSING: ReadonlySet<StatusCode> = new Set<StatusCode>([
  "RESOURCE_EXHAUSTED",
  "INTERNAL",
  "DEADLINE_EXCEEDED",
  "UNIMPLEMENTED",
  "UNKNOWN",
  "ABORTED",
  "CANCELLED",
]);

function answerOf(answer: WatchPromptsResponse): WatchPromptsResponse {
  return answer;
}

/** What is known of the stream's place, over several streams. */
export class PromptReader extends Reader<WatchPromptsResponse, PromptUpdate> {
  readonly #names: readonly string[];
  readonly #namePrefix: string;
  #cursor = 0n;
  /** The prompts that the present stream has told; undefined where it did not begin at 0, or has told all that was there. */
  #seen: Set<string> | undefined;
  /** The parts of a state that is not told whole yet. */
  #parts: PromptChange | undefined;

  constructor(names: readonly string[], namePrefix: string) {
    super();
    this.#names = names;
    this.#namePrefix = namePrefix;
  }

  override ask(): StreamCall<WatchPromptsResponse> {
    const request = create(WatchPromptsRequestSchema, {
      names: [...this.#names],
      namePrefix: this.#namePrefix,
      afterRevision: this.#cursor,
    });
    return streamCall(RegistryService.method.watchPrompts, request, answerOf);
  }

  override begins(): void {
    this.#parts = undefined;
    this.#seen = this.#cursor === 0n ? new Set() : undefined;
  }

  override take(message: WatchPromptsResponse, updates: PromptUpdate[]): Taken {
    let isCurrent = false;
    switch (message.kind.case) {
      case "change": {
        const state = this.#whole(message.kind.value);
        if (state?.prompt !== undefined) {
          this.#seen?.add(state.prompt.name);
          updates.push({ kind: "put", state });
        }
        break;
      }
      case "synced":
        if (this.#seen !== undefined) {
          updates.push({ kind: "only", names: this.#seen });
          this.#seen = undefined;
        }
        isCurrent = true;
        break;
      case "heartbeat":
        if (message.kind.value.behind) {
          updates.push({ kind: "behind" });
        } else {
          isCurrent = this.#seen === undefined && this.#parts === undefined;
        }
        break;
      default:
        break;
    }
    // Also of a kind that is not known.
    const isFurther = message.revision > this.#cursor;
    if (isFurther) {
      this.#cursor = message.revision;
      updates.push({ kind: "reached", revision: this.#cursor });
    }
    if (isCurrent) {
      updates.push({ kind: "current" });
    }
    // A stream that breaks each time before it has come further gets nowhere, however much it tells.
    return isFurther || isCurrent ? "news" : "nothing";
  }

  override broke(failure: Failure, updates: PromptUpdate[]): boolean {
    updates.push({ kind: "behind" });
    if (!(failure instanceof LedgerError)) {
      return false;
    }
    const isRestored =
      failure.code === "OUT_OF_RANGE" && (failure.reason === "EVENTS_COMPACTED" || failure.reason === "REVISION_AHEAD");
    if (isRestored && this.#cursor > 0n) {
      // Nothing can be resumed: everything is told again, and what is not told is gone.
      this.#cursor = 0n;
      updates.push({ kind: "reached", revision: 0n });
      return true;
    }
    return PASSING.has(failure.code);
  }

  /** The state that this change completes; undefined where more of it follows. */
  #whole(change: PromptChange): PromptChange | undefined {
    const parts = this.#parts;
    this.#parts = undefined;
    let whole = change;
    if (parts?.prompt !== undefined && parts.prompt.promptId === change.prompt?.promptId) {
      parts.labelledVersions.push(...change.labelledVersions);
      parts.moreFollows = change.moreFollows;
      whole = parts;
    }
    if (whole.moreFollows) {
      this.#parts = whole;
      return undefined;
    }
    return whole;
  }
}
