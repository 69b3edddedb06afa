/** Reads the streams of all executions that match. */

import { clone } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";

import type { ExecutionEvent } from "../gen/promptledger/v1/execution_event_pb.js";
import {
  ExecutionService,
  type WatchExecutionsRequest,
  WatchExecutionsRequestSchema,
  type WatchExecutionsResponse,
} from "../gen/promptledger/v1/execution_pb.js";
import { Execution } from "../records/execution.ts";
import { stateChange, type TailUpdate } from "../updates.ts";
import { Reader, type StreamCall, streamCall, type Taken } from "./machine.ts";

/** Executions that are remembered: at least these, the most recent ones; at most twice as many. */
const REMEMBERED = 10_000;
/** Most sequences of one execution that are remembered beyond the gapless ones. */
const APART = 64;

function eventOf(answer: WatchExecutionsResponse): ExecutionEvent | undefined {
  return answer.event;
}

/** What is known of the executions that match, over several streams. */
export class Tailer extends Reader<ExecutionEvent, TailUpdate> {
  readonly #request: WatchExecutionsRequest;
  readonly #seen: SeenExecutions;
  /** The server's time at the present stream's first message. */
  #began: Timestamp | undefined;
  #heard = false;
  #synced = false;
  #toldSynced = false;

  constructor(request: WatchExecutionsRequest, remembered = REMEMBERED) {
    super();
    this.#request = clone(WatchExecutionsRequestSchema, request);
    this.#seen = new SeenExecutions(remembered);
  }

  override ask(): StreamCall<ExecutionEvent> {
    const request = clone(WatchExecutionsRequestSchema, this.#request);
    return streamCall(ExecutionService.method.watchExecutions, request, eventOf);
  }

  override begins(): void {
    this.#began = undefined;
    this.#heard = false;
    this.#synced = false;
  }

  override take(message: ExecutionEvent, updates: TailUpdate[]): Taken {
    if (!this.#heard) {
      this.#heard = true;
      this.#began = message.at;
    }
    switch (message.kind.case) {
      case "snapshot": {
        const { throughSequence, execution } = message.kind.value;
        const through = Number(throughSequence);
        if (!this.#seen.through(message.executionId, through) || execution === undefined) {
          return "nothing";
        }
        updates.push({ kind: "found", sequence: through, execution: new Execution(execution) });
        return "news";
      }
      case "stateChanged": {
        const isNew = this.#seen.one(message.executionId, Number(message.sequence));
        this.#toldUntil(message.at);
        const change = stateChange(message);
        if (!isNew || change === undefined) {
          return "nothing";
        }
        const { execution } = message.kind.value;
        updates.push({
          kind: "changed",
          change,
          execution: execution === undefined ? undefined : new Execution(execution),
        });
        return "news";
      }
      case "synced":
        this.#synced = true;
        // Changes during the first part of the stream may still follow.
        this.#toldUntil(this.#began);
        if (this.#toldSynced) {
          return "nothing";
        }
        this.#toldSynced = true;
        updates.push({ kind: "synced" });
        return "news";
      case "heartbeat":
        // It says nothing of what was sent before.
        return "news";
      default:
        return "nothing";
    }
  }

  /** Moves `since`, never backwards. A stream that has not synced has not told all, and moves nothing. */
  #toldUntil(at: Timestamp | undefined): void {
    const { since } = this.#request;
    if (this.#synced && at !== undefined && (since === undefined || isBefore(since, at))) {
      this.#request.since = at;
    }
  }
}

function isBefore(one: Timestamp, other: Timestamp): boolean {
  return one.seconds === other.seconds ? one.nanos < other.nanos : one.seconds < other.seconds;
}

/** The sequences that were read, of the most recent executions. */
class SeenExecutions {
  readonly #most: number;
  #now = new Map<string, Life>();
  #before = new Map<string, Life>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Records a snapshot of the execution after this sequence; returns whether it is new. */
  through(executionId: string, sequence: number): boolean {
    const { life, first } = this.#life(executionId);
    const known = life.knows(sequence);
    life.reached(sequence);
    return first || !known;
  }

  /** Records a change; returns whether it is new. */
  one(executionId: string, sequence: number): boolean {
    const { life } = this.#life(executionId);
    if (life.knows(sequence)) {
      return false;
    }
    life.add(sequence);
    return true;
  }

  /** What is known of an execution, and whether it is unknown so far. */
  #life(executionId: string): { readonly life: Life; readonly first: boolean } {
    const present = this.#now.get(executionId);
    if (present !== undefined) {
      return { life: present, first: false };
    }
    if (this.#now.size >= this.#most) {
      this.#before = this.#now;
      this.#now = new Map();
    }
    const earlier = this.#before.get(executionId);
    this.#before.delete(executionId);
    const life = earlier ?? new Life();
    this.#now.set(executionId, life);
    return { life, first: earlier === undefined };
  }
}

/** The sequences of one execution that were read: all up to `through`, and those `apart`, ascending. */
class Life {
  #through = 0;
  readonly #apart: number[] = [];

  knows(sequence: number): boolean {
    return sequence <= this.#through || this.#apart.includes(sequence);
  }

  reached(sequence: number): void {
    this.#through = Math.max(this.#through, sequence);
    this.#settle();
  }

  add(sequence: number): void {
    const behind = this.#apart.findIndex((each) => each > sequence);
    this.#apart.splice(behind < 0 ? this.#apart.length : behind, 0, sequence);
    this.#settle();
  }

  /** Bounds the memory: merges what follows without a gap, and beyond `APART` the lowest ones. */
  #settle(): void {
    for (let first = this.#apart[0]; first !== undefined; first = this.#apart[0]) {
      if (first > this.#through + 1 && this.#apart.length <= APART) {
        return;
      }
      this.#through = Math.max(this.#through, first);
      this.#apart.shift();
    }
  }
}
