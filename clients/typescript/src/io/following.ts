/** The I/O of a watch: opens streams, reads them and waits, as its machine decides. */

import type { Message } from "@bufbuild/protobuf";

import { DeadlineExceeded } from "../errors/index.ts";
import { Machine, type Next, type Reader } from "../steps/machine.ts";
import { Broken } from "../steps/retry.ts";
import type { ServerStream } from "./stream.ts";
import { momentNow, type Transport } from "./transport.ts";

export interface FollowingOptions {
  /** Milliseconds to try again without progress; that of the client where it is absent. */
  readonly patienceMs?: number;
  /** Ends the watch: it throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The most that a timer takes, in milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** The updates of a reader, until its end or the first error. */
export class Following<Received, Update> {
  readonly #transport: Transport;
  readonly #reader: Reader<Received, Update>;
  readonly #machine: Machine<Received, Update>;
  readonly #signal: AbortSignal | undefined;
  readonly #silence: number;
  #updates: Update[] = [];
  #stream: ServerStream<Message> | undefined;
  /** How to read the answers of the present stream. */
  #read: (answer: Message) => Received | undefined = () => undefined;
  /** When the next stream may be opened, by the monotonic clock. */
  #opensAt = 0;
  #isOver = false;
  /** Ends what was begun to notice that the client is closed or the signal aborted; undefined before the first step. */
  #forget: (() => void) | undefined;
  /** Ends the present wait for the next stream. */
  #wake: (() => void) | undefined;
  /** The reason of the signal, until it is thrown. */
  #aborted: { readonly reason: unknown } | undefined;

  constructor(transport: Transport, reader: Reader<Received, Update>, options: FollowingOptions = {}) {
    const { settings } = transport;
    this.#transport = transport;
    this.#reader = reader;
    this.#machine = new Machine(reader, options.patienceMs ?? settings.patienceMs);
    this.#signal = options.signal;
    this.#silence = settings.silenceMs;
  }

  /**
   * The next update; undefined at the end. One caller at a time. Where it does not come before `until`, by the monotonic
   * clock, it throws a {@link DeadlineExceeded}, and the watch goes on with the next call.
   */
  async next(until = Infinity): Promise<Update | undefined> {
    for (;;) {
      const update = this.#updates.shift();
      if (update !== undefined) {
        return update;
      }
      this.#throwIfAborted();
      if (this.#isOver) {
        return undefined;
      }
      if (performance.now() >= until) {
        throw new DeadlineExceeded("the execution did not end in time");
      }
      try {
        await this.#step(until);
      } catch (error) {
        // Nothing follows an error.
        this.close();
        throw error;
      }
    }
  }

  /** Hangs up. Nothing more is told. */
  close(): void {
    this.#updates = [];
    this.#end();
  }

  #end(): void {
    this.#isOver = true;
    this.#dropStream();
    this.#forget?.();
    this.#forget = () => undefined;
    this.#wake?.();
  }

  async #step(until: number): Promise<void> {
    this.#transport.checkOpen();
    this.#forget ??= this.#notice();
    const stream = this.#stream ?? (await this.#open(until));
    if (stream === undefined) {
      return;
    }
    const within = Math.min(until - performance.now(), LONGEST_TIMER);
    // What is left of it, however many reads it takes.
    const silence = stream.silentIn(this.#silence);
    const heard = stream.poll() ?? (await stream.next(Math.min(silence, within)));
    this.#transport.checkOpen();
    if (this.#isOver || (heard === undefined && within < silence)) {
      return;
    }
    const moment = momentNow();
    if (heard?.message === undefined) {
      this.#follow(this.#machine.failed(heard?.end ?? Broken.silent, moment, this.#updates), moment.now);
    } else {
      const message = this.#read(heard.message);
      this.#follow(this.#machine.took(message, moment, this.#updates), moment.now);
    }
  }

  #follow(next: Next, now: number): void {
    if (next === "over") {
      this.#end();
    } else if (next !== "read") {
      const delay = String(Math.round(next.delay));
      this.#transport.settings.logger.info(`${this.#reader.ask().method.name}: broke, again in ${delay} ms`);
      this.#opensAt = now + next.delay;
      this.#dropStream();
    }
  }

  /** The next stream, when its time has come; undefined where that is not yet. */
  async #open(until: number): Promise<ServerStream<Message> | undefined> {
    const wait = Math.min(this.#opensAt, until) - performance.now();
    if (wait > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(wait, LONGEST_TIMER));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    this.#transport.checkOpen();
    if (this.#isOver || performance.now() < this.#opensAt) {
      return undefined;
    }
    const call = this.#reader.ask();
    this.#read = call.read;
    this.#stream = this.#transport.open(call, this.#reader.resumes);
    this.#machine.opened();
    return this.#stream;
  }

  #dropStream(): void {
    this.#stream?.close();
    this.#stream = undefined;
  }

  /** Ends this once the client is closed or the signal aborted; returns what ends that. */
  #notice(): () => void {
    const signal = this.#signal;
    const closed = this.#transport.onClose(() => {
      this.#dropStream();
      this.#wake?.();
    });
    const aborted = (): void => {
      this.#aborted = { reason: signal?.reason };
      this.close();
    };
    signal?.addEventListener("abort", aborted, { once: true });
    return () => {
      closed();
      signal?.removeEventListener("abort", aborted);
    };
  }

  #throwIfAborted(): void {
    if (this.#signal?.aborted === true && !this.#isOver) {
      this.close();
      throw this.#signal.reason;
    }
    const aborted = this.#aborted;
    this.#aborted = undefined;
    if (aborted !== undefined) {
      throw aborted.reason;
    }
  }
}
