/** What happens to one execution, or to all that match, as asynchronous iterators. */

import type { ExecutionEvent } from "./gen/promptledger/v1/execution_event_pb.js";
import type { WatchExecutionsRequest } from "./gen/promptledger/v1/execution_pb.js";
import { Following } from "./io/following.ts";
import type { Transport } from "./io/transport.ts";
import type { Execution } from "./records/execution.ts";
import { type Follower } from "./steps/follower.ts";
import { Reading } from "./steps/reading.ts";
import { Tailer } from "./steps/tailer.ts";
import type { TailUpdate, Update } from "./updates.ts";

/** How long to wait for an execution's end. */
export interface ResultOptions {
  /** Milliseconds; without end where it is absent. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Iterates over updates. Broken connections and restarts of servers cause a delay and no error. Leaving a `for await` early
 * hangs up.
 */
abstract class Watching<U> implements AsyncIterableIterator<U, void, undefined>, AsyncDisposable {
  readonly #following: Following<ExecutionEvent, U>;
  /** The last of the reads that were asked for: they are answered one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(following: Following<ExecutionEvent, U>) {
    this.#following = following;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<U, void>> {
    const update = await this.read();
    return update === undefined ? { done: true, value: undefined } : { done: false, value: update };
  }

  async return(): Promise<IteratorResult<U, void>> {
    await this.close();
    return { done: true, value: undefined };
  }

  /** Hangs up. */
  close(): Promise<void> {
    this.#following.close();
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The next update; undefined at the end. */
  protected read(until?: number): Promise<U | undefined> {
    const read = this.#last.then(async () => {
      const update = await this.#following.next(until);
      if (update !== undefined) {
        this.took(update);
      }
      return update;
    });
    this.#last = read.catch(() => undefined);
    return read;
  }

  /** An update is about to be told. */
  protected abstract took(update: U): void;
}

/**
 * What happens to one execution, to its end.
 *
 * Each state change comes once and in order; texts can be appended as they come; the last update is `ended`. Of a `stream`
 * without an idempotency key, closing it cancels the execution.
 */
export class Updates extends Watching<Update> {
  readonly #reading: Reading;

  /** @internal */
  constructor(transport: Transport, follower: Follower, signal: AbortSignal | undefined) {
    super(new Following(transport, follower, { signal }));
    this.#reading = new Reading(follower.executionId);
  }

  /** The execution; empty until it is known. */
  get executionId(): string {
    return this.#reading.executionId;
  }

  /** The text that was read so far, of the present attempt. */
  get text(): string {
    return this.#reading.text;
  }

  /** The text alone, as the model writes it. Where another attempt begins anew, {@link Updates.text} does so too. */
  async *texts(): AsyncGenerator<string, void, undefined> {
    for await (const update of this) {
      if (update.kind === "text") {
        yield update.text;
      }
    }
  }

  /** Reads to the end, and returns the execution. After a `timeoutMs` that was too short it can be called again. */
  async result({ timeoutMs }: ResultOptions = {}): Promise<Execution> {
    const until = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
    while (this.#reading.execution === undefined && (await this.read(until)) !== undefined);
    return this.#reading.ended();
  }

  protected override took(update: Update): void {
    this.#reading.take(update);
  }
}

/** What happens to all executions that match, without end. */
export class Tail extends Watching<TailUpdate> {
  /** @internal */
  constructor(transport: Transport, request: WatchExecutionsRequest, signal: AbortSignal | undefined) {
    super(new Following(transport, new Tailer(request), { signal }));
  }

  protected override took(): void {
    return;
  }
}
