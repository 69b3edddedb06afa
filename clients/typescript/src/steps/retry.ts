/** Decides when to try again and when to give up. Pure: time and randomness are arguments, times are milliseconds. */

import { GaveUp, type LedgerError, NotResumable } from "../errors/index.ts";

/** The delay after the first failure, and the longest one; between them it doubles. */
const FIRST = 100;
const LONGEST = 5_000;
/** The longest delay that a server is granted; the shortest is the first one. */
const LONGEST_ASKED = 3_600_000;

/** The longest deadline of an attempt, nearly 28 hours: a timeout of gRPC has 8 digits, and Connect sends milliseconds. */
const LONGEST_DEADLINE = 99_999_999;

/** A time of any clock that never goes back, and a random number from 0 to 1. */
export interface Moment {
  readonly now: number;
  readonly chance: number;
}

/** How a stream may break without an error, as a sentence. */
export const Broken = {
  cut: "the stream ended before the execution",
  silent: "the server said nothing, not even that it lives",
  gap: "the stream left something out",
  overflow: "the stream was read too slowly",
} as const;

export type Broken = (typeof Broken)[keyof typeof Broken];

export type Failure = LedgerError | Broken;

/** Whether to try again, and after how many milliseconds the server asked to; undefined where it did not. */
export interface Verdict {
  readonly again: boolean;
  readonly asked?: number | undefined;
}

const FINAL: Verdict = { again: false };

/** Whether another stream is opened where one has failed. */
export function ofStream(failure: Failure): Verdict {
  if (typeof failure === "string") {
    return { again: true };
  }
  switch (failure.code) {
    case "UNAVAILABLE":
      return { again: true, asked: failure.retryAfterMs };
    case "ABORTED":
      return { again: failure.reason === "SLOW_CONSUMER" };
    case "UNKNOWN":
    case "INTERNAL":
    case "CANCELLED":
      // The server gives each of its own errors a reason: without one, the connection broke.
      return { again: failure.reason === "" };
    default:
      return FINAL;
  }
}

/** Whether a call that answers once is repeated: `freely` where it may be done twice, else where nothing began. */
export function ofCall(failure: LedgerError, freely: boolean): Verdict {
  if (failure.nothingBegan) {
    return { again: true, asked: failure.retryAfterMs };
  }
  if (!freely || failure.code === "ABORTED") {
    return FINAL;
  }
  if (failure.code === "RESOURCE_EXHAUSTED" && failure.retryAfterMs !== undefined) {
    return { again: true, asked: failure.retryAfterMs };
  }
  return ofStream(failure);
}

/** The error where no other stream is opened, though a break alone might have allowed it. */
export function last(failure: Failure): LedgerError {
  if (typeof failure !== "string" && !ofStream(failure).again) {
    return failure;
  }
  return new NotResumable(
    `the stream broke, and without an idempotency key nothing goes on: ${cause(failure)}`,
    typeof failure === "string" ? {} : { cause: failure },
  );
}

function cause(failure: Failure): string {
  return typeof failure === "string" ? failure : failure.message;
}

/** Bounds how long to try again without progress. */
export class RetryWindow {
  readonly #limit: number;
  #failingSince: number | undefined;
  #failures = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  progressed(): void {
    this.#failingSince = undefined;
    this.#failures = 0;
  }

  /** How long to wait before the next try; undefined where the window ends before. */
  delay(verdict: Verdict, moment: Moment): number | undefined {
    this.#failingSince ??= moment.now;
    const delay =
      verdict.asked === undefined
        ? Math.min(FIRST * 2 ** Math.min(this.#failures, 10), LONGEST) * (0.5 + 0.5 * moment.chance)
        : // Never earlier than asked, and spread over time. A server that asks for no delay is not asked without one.
          Math.min(Math.max(verdict.asked, FIRST), LONGEST_ASKED) * (1 + 0.2 * moment.chance);
    this.#failures += 1;
    return moment.now - this.#failingSince + delay <= this.#limit ? delay : undefined;
  }

  /** How long to wait before the next stream; throws where there is none. */
  failed(failure: Failure, verdict: Verdict, moment: Moment): number {
    if (!verdict.again) {
      throw last(failure);
    }
    const delay = this.delay(verdict, moment);
    if (delay === undefined) {
      const after = Math.round((moment.now - (this.#failingSince ?? moment.now)) / 1_000);
      throw new GaveUp(
        `gave up after ${String(after)} s without news: ${cause(failure)}`,
        typeof failure === "string" ? {} : { cause: failure },
      );
    }
    return delay;
  }
}

/** The attempts of one call that answers once, within its limit. */
export class Attempts {
  readonly #ends: number;
  readonly #freely: boolean;
  readonly #window: RetryWindow;

  constructor(limit: number, began: number, freely: boolean) {
    this.#ends = began + limit;
    this.#freely = freely;
    this.#window = new RetryWindow(limit);
  }

  /** The deadline of the next attempt: what is left of the limit, at least 1 ms. */
  left(now: number): number {
    return Math.min(Math.max(Math.floor(this.#ends - now), 1), LONGEST_DEADLINE);
  }

  /** Whether the limit has passed. */
  over(now: number): boolean {
    return now >= this.#ends;
  }

  /** How long to wait before the next attempt; undefined where there is none. */
  delay(failure: LedgerError, moment: Moment): number | undefined {
    const verdict = ofCall(failure, this.#freely);
    const delay = verdict.again ? this.#window.delay(verdict, moment) : undefined;
    return delay !== undefined && moment.now + delay < this.#ends ? delay : undefined;
  }
}
