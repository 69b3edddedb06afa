/** Reads the streams of one execution. */

import { createHash } from "node:crypto";

import { create } from "@bufbuild/protobuf";

import {
  CodeRegistrationService,
  StreamCodePromptRequestSchema,
  type StreamCodePromptResponse,
} from "../gen/promptledger/v1/code_registration_pb.js";
import type { ExecutionEvent, ExecutionTextDelta } from "../gen/promptledger/v1/execution_event_pb.js";
import {
  ExecutionService,
  StreamExecutionRequestSchema,
  type StreamExecutionResponse,
  WatchExecutionRequestSchema,
  type WatchExecutionResponse,
} from "../gen/promptledger/v1/execution_pb.js";
import type { ExecutionSpec } from "../gen/promptledger/v1/spec_pb.js";
import { Execution } from "../records/execution.ts";
import { stateChange, type Update } from "../updates.ts";
import { Reader, type StreamCall, streamCall, type Taken } from "./machine.ts";

/** The event in an answer of any stream about one execution. */
function eventOf(
  answer: WatchExecutionResponse | StreamExecutionResponse | StreamCodePromptResponse,
): ExecutionEvent | undefined {
  return answer.event;
}

/** What to execute, and whether its prompt is in tracking mode. */
export interface Executed {
  readonly spec: ExecutionSpec;
  readonly tracking: boolean;
}

/** What is known of one execution, over several streams. With something to execute, the first stream does that. */
export class Follower extends Reader<ExecutionEvent, Update> {
  /** Empty until the first event of a stream that executes. */
  executionId: string;
  #cursor: bigint;
  readonly #executed: Executed | undefined;
  readonly #text = new FollowedText();
  #joined = false;

  constructor(of: { readonly executionId: string; readonly after?: number } | Executed) {
    super();
    this.executionId = "executionId" in of ? of.executionId : "";
    this.#cursor = "executionId" in of ? BigInt(of.after ?? 0) : 0n;
    this.#executed = "spec" in of ? of : undefined;
  }

  override ask(): StreamCall<ExecutionEvent> {
    if (this.#executed === undefined || this.executionId !== "") {
      const watch = { executionId: this.executionId, afterSequence: this.#cursor };
      return streamCall(ExecutionService.method.watchExecution, create(WatchExecutionRequestSchema, watch), eventOf);
    }
    const { spec, tracking } = this.#executed;
    return tracking
      ? streamCall(
          CodeRegistrationService.method.streamCodePrompt,
          create(StreamCodePromptRequestSchema, { spec }),
          eventOf,
        )
      : streamCall(ExecutionService.method.streamExecution, create(StreamExecutionRequestSchema, { spec }), eventOf);
  }

  override get resumes(): boolean {
    return this.#executed === undefined || this.#executed.spec.idempotencyKey !== "";
  }

  override take(message: ExecutionEvent, updates: Update[]): Taken {
    this.executionId ||= message.executionId;
    if (message.sequence > this.#cursor + 1n) {
      return "gap";
    }
    const isNew = message.sequence > this.#cursor;
    this.#moveTo(message.sequence);
    const taken = this.#takeKind(message, isNew, updates);
    return message.terminal && taken !== "over" ? "unreadable" : taken;
  }

  #takeKind(message: ExecutionEvent, isNew: boolean, updates: Update[]): Taken {
    switch (message.kind.case) {
      case "stateChanged":
        return this.#takeChange(message, isNew, updates);
      case "textDelta":
        return this.#text.take(message.kind.value, updates);
      case "heartbeat":
        this.#moveTo(message.kind.value.throughSequence);
        return "news";
      case "snapshot":
        if (message.kind.value.reused && !this.#joined) {
          this.#joined = true;
          updates.push({ kind: "joined", executionId: message.executionId });
        }
        return "nothing";
      default:
        // An event of an unknown kind may have a sequence too.
        return isNew ? "news" : "nothing";
    }
  }

  #takeChange(message: ExecutionEvent, isNew: boolean, updates: Update[]): Taken {
    const change = stateChange(message);
    const ended = message.terminal && message.kind.case === "stateChanged" ? message.kind.value.execution : undefined;
    if (change !== undefined && ended !== undefined) {
      this.#text.finish(change.attempt, ended.responseText, updates);
    }
    if (change !== undefined && isNew) {
      updates.push(change);
    }
    if (ended !== undefined) {
      updates.push({ kind: "ended", execution: new Execution(ended, this.#joined) });
      return "over";
    }
    return isNew ? "news" : "nothing";
  }

  #moveTo(sequence: bigint): void {
    if (sequence > this.#cursor) {
      this.#cursor = sequence;
    }
  }
}

/** How much of an attempt's text was told. */
class FollowedText {
  /** 0 before the first text. */
  #attempt = 0;
  /** In UTF-8 bytes, and their hash: it tells whether the final text begins with them, without keeping them. */
  #given = 0;
  #hash = createHash("sha256");

  /** Tells the new part of a delta. After a reconnect the text is sent again from its beginning. */
  take(delta: ExecutionTextDelta, updates: Update[]): Taken {
    if (delta.attempt < this.#attempt) {
      return "nothing";
    }
    if (delta.attempt > this.#attempt) {
      this.#restart(delta.attempt, updates);
    }
    const known = this.#given - delta.offset;
    if (known < 0) {
      return "gap";
    }
    const more = known === 0 ? delta.text : behind(Buffer.from(delta.text), known);
    if (more === undefined) {
      // The known text ends within a character of this one: the texts differ.
      return "gap";
    }
    return this.#give(more, updates) ? "news" : "nothing";
  }

  /** Tells what is missing of the final text: what was never streamed, or was lost. */
  finish(attempt: number, response: string, updates: Update[]): void {
    if (attempt !== this.#attempt) {
      this.#restart(attempt, updates);
    }
    if (response === "") {
      // A failed execution has no response; the partial text stays valid.
      return;
    }
    const whole = Buffer.from(response);
    const begins = createHash("sha256").update(whole.subarray(0, this.#given)).digest();
    if (!begins.equals(this.#hash.copy().digest())) {
      this.#restart(attempt, updates);
    }
    // It begins with what was told, so it is not cut within a character.
    this.#give(this.#given === 0 ? response : whole.toString("utf8", this.#given), updates);
  }

  #restart(attempt: number, updates: Update[]): void {
    if (this.#given > 0) {
      updates.push({ kind: "restarted", attempt });
    }
    this.#attempt = attempt;
    this.#given = 0;
    this.#hash = createHash("sha256");
  }

  /** False where the text is empty. */
  #give(text: string, updates: Update[]): boolean {
    if (text === "") {
      return false;
    }
    updates.push({ kind: "text", attempt: this.#attempt, offset: this.#given, text });
    this.#given += Buffer.byteLength(text);
    this.#hash.update(text);
    return true;
  }
}

/** The text from a byte on; undefined where a character would be cut. */
function behind(bytes: Buffer, from: number): string | undefined {
  const first = bytes[from];
  // The bytes of a character behind its first are 10xxxxxx.
  return first !== undefined && (first & 0xc0) === 0x80 ? undefined : bytes.toString("utf8", from);
}
