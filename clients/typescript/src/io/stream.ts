/** One server stream, read ahead into a bounded buffer. */

import { MessageBuffer } from "../steps/buffer.ts";
import { Broken, type Failure } from "../steps/retry.ts";
import { errorOf } from "./status.ts";

/** What a stream has told: a message, or how it ended. */
export type Heard<Message> =
  { readonly message: Message; readonly end?: undefined } | { readonly message?: undefined; readonly end: Failure };

/** Opens a stream, which ends when the signal is aborted. */
export type Opening<Message> = (signal: AbortSignal) => Promise<AsyncIterable<Message>>;

/** How long to wait at least before a stream counts as silent, in milliseconds. */
const LEAST_WAIT = 1_000;

export class ServerStream<Message> {
  readonly #abort = new AbortController();
  readonly #buffer = new MessageBuffer<Message>();
  readonly #overflows: boolean;
  /** When it was opened, or the last message was read, by the monotonic clock. */
  #heardAt = performance.now();
  /** Milliseconds that were waited for something to come since then. */
  #waited = 0;
  /** How it ended, once it has. */
  #end: Failure | undefined;
  /** Wakes who waits for something to come. */
  #came: (() => void) | undefined;
  /** Wakes who waits for room. */
  #taken: (() => void) | undefined;

  /** One that overflows ends when its buffer is full; another one is not read on until there is room. */
  constructor(open: Opening<Message>, overflows: boolean) {
    this.#overflows = overflows;
    void this.#receive(open);
  }

  /**
   * In how many milliseconds of waiting it is silent, where it is so after such a time without anything to read. Where its reader
   * had kept the process busy for that long, what has come meanwhile is read first.
   */
  silentIn(silence: number): number {
    const quiet = performance.now() - this.#heardAt;
    return Math.max(silence - quiet, Math.min(silence, LEAST_WAIT) - this.#waited, 0);
  }

  /** What has come, without waiting; undefined where nothing has. */
  poll(): Heard<Message> | undefined {
    const message = this.#buffer.take();
    if (message !== undefined) {
      this.#heardAt = performance.now();
      this.#waited = 0;
      this.#taken?.();
      return { message };
    }
    return this.#end === undefined ? undefined : { end: this.#end };
  }

  /** What comes within so many milliseconds; undefined where nothing does. One caller at a time. */
  async next(within: number): Promise<Heard<Message> | undefined> {
    const heard = this.poll();
    if (heard !== undefined) {
      return heard;
    }
    const began = performance.now();
    await new Promise<void>((resolve) => {
      // Where this process was busy, what came in time is read only after the timers: it counts.
      const timer = setTimeout(() => setImmediate(resolve), within);
      this.#came = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#came = undefined;
    this.#waited += performance.now() - began;
    return this.poll();
  }

  /** Hangs up. What has come can still be read. */
  close(): void {
    this.#ends(Broken.cut);
    this.#abort.abort();
  }

  async #receive(open: Opening<Message>): Promise<void> {
    try {
      for await (const message of await open(this.#abort.signal)) {
        while (!this.#buffer.put(message)) {
          if (this.#overflows) {
            this.#ends(Broken.overflow);
            this.#abort.abort();
            return;
          }
          await this.#room();
          if (this.#end !== undefined) {
            return;
          }
        }
        this.#came?.();
      }
      this.#ends(Broken.cut);
    } catch (raised) {
      this.#ends(errorOf(raised));
    }
  }

  async #room(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#taken = resolve;
    });
    this.#taken = undefined;
  }

  #ends(end: Failure): void {
    this.#end ??= end;
    this.#came?.();
    this.#taken?.();
  }
}
