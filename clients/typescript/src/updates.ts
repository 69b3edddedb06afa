/** What watches and tails tell. */

import type { ExecutionEvent } from "./gen/promptledger/v1/execution_event_pb.js";
import { dateOf, type ExecutionStatus, statusWord } from "./records/common.ts";
import type { Execution } from "./records/execution.ts";

/** The idempotency key found an execution that exists: the updates are those of that one. */
export interface Joined {
  readonly kind: "joined";
  readonly executionId: string;
}

/** The execution changed its status. */
export interface StateChange {
  readonly kind: "stateChanged";
  readonly executionId: string;
  /** Numbers the execution's changes from 1, without gaps. */
  readonly sequence: number;
  readonly at: Date | undefined;
  /** Undefined for the first change. */
  readonly from: ExecutionStatus | undefined;
  readonly to: ExecutionStatus;
  /** The attempt that the change belongs to; 0 before the first. */
  readonly attempt: number;
  /** Why the attempt failed, such as `rate_limited`; empty where nothing failed. */
  readonly errorType: string;
  /** When the next attempt is due, where there will be one. */
  readonly nextAttemptAt: Date | undefined;
  /** In tails only; empty elsewhere. */
  readonly promptName: string;
}

/** Another attempt writes: drop the text that you have. */
export interface Restarted {
  readonly kind: "restarted";
  readonly attempt: number;
}

/** More text, to be appended. Before the end all of the response's text has come, also where it was not streamed. */
export interface Text {
  readonly kind: "text";
  readonly attempt: number;
  /** Where it begins, in UTF-8 bytes of the attempt's text. */
  readonly offset: number;
  /** Never empty. */
  readonly text: string;
}

/** The execution after its end; the last update. */
export interface Ended {
  readonly kind: "ended";
  readonly execution: Execution;
}

/** What a watch of one execution tells. */
export type Update = Joined | StateChange | Restarted | Text | Ended;

/** An execution that was there when the tail began, or that changed while it was interrupted. */
export interface Found {
  readonly kind: "found";
  /** That of its last change. */
  readonly sequence: number;
  readonly execution: Execution;
}

/** Every execution that was there when the tail began has been told. Told once. */
export interface Synced {
  readonly kind: "synced";
}

/** An execution changed its status; with the execution where that was its end. */
export interface Changed {
  readonly kind: "changed";
  readonly change: StateChange;
  readonly execution: Execution | undefined;
}

/** What a tail tells. */
export type TailUpdate = Found | Synced | Changed;

/** The change of an event; undefined where the event is none. */
export function stateChange(event: ExecutionEvent): StateChange | undefined {
  if (event.kind.case !== "stateChanged") {
    return undefined;
  }
  const changed = event.kind.value;
  const from = statusWord(changed.from);
  return {
    kind: "stateChanged",
    executionId: event.executionId,
    sequence: Number(event.sequence),
    at: dateOf(event.at),
    from: from === "" ? undefined : from,
    to: statusWord(changed.to),
    attempt: changed.attempt,
    errorType: changed.errorType,
    nextAttemptAt: dateOf(changed.nextAttemptAt),
    promptName: changed.promptName,
  };
}
