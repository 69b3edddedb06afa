/** Calls over one connection. */

import { type Client, createClient } from "@connectrpc/connect";
import { createAsyncIterable } from "@connectrpc/connect/protocol";
import type { Message } from "@bufbuild/protobuf";

import type { Call, Pages, Program } from "../calls/call.ts";
import { ClientClosed, DeadlineExceeded, Internal, type LedgerError } from "../errors/index.ts";
import { AnalyticsService } from "../gen/promptledger/v1/analytics_pb.js";
import { CodeRegistrationService } from "../gen/promptledger/v1/code_registration_pb.js";
import { ExecutionService } from "../gen/promptledger/v1/execution_pb.js";
import { RegistryService } from "../gen/promptledger/v1/registry_pb.js";
import { positive, type Settings } from "../options/settings.ts";
import type { CallOptions } from "../spec.ts";
import type { StreamCall } from "../steps/machine.ts";
import { Attempts, type Moment } from "../steps/retry.ts";
import { type Connection, connection } from "./connection.ts";
import { errorOf } from "./status.ts";
import { ServerStream } from "./stream.ts";

/** The generated stubs over the client's connection, for all that the layer does not have. They carry the key. */
export interface RawStubs {
  readonly registry: Client<typeof RegistryService>;
  readonly executions: Client<typeof ExecutionService>;
  readonly code: Client<typeof CodeRegistrationService>;
  readonly analytics: Client<typeof AnalyticsService>;
}

export class Transport {
  readonly settings: Settings;
  readonly raw: RawStubs;
  readonly #connection: Connection;
  readonly #closing = new Set<() => void>();
  #isClosed = false;

  constructor(settings: Settings) {
    this.settings = settings;
    this.#connection = connection(settings.target, settings.interceptors);
    const { transport } = this.#connection;
    this.raw = {
      registry: createClient(RegistryService, transport),
      executions: createClient(ExecutionService, transport),
      code: createClient(CodeRegistrationService, transport),
      analytics: createClient(AnalyticsService, transport),
    };
  }

  /** Makes a call, and again where that is of use, until its limit. */
  async call<T>(call: Call<T>, { signal, deadlineMs }: CallOptions = {}): Promise<T> {
    const { logger } = this.settings;
    const limit = positive("deadlineMs", deadlineMs ?? call.limitMs ?? this.settings.timeoutMs);
    const began = performance.now();
    const attempts = new Attempts(limit, began, call.freely);
    let before: LedgerError | undefined;
    for (;;) {
      this.checkOpen();
      signal?.throwIfAborted();
      const heard = await this.#attempt(call, attempts.left(performance.now()), signal);
      if ("answer" in heard) {
        logger.debug(`${call.method.name}: OK after ${since(began)}`);
        return call.read(heard.answer);
      }
      this.checkOpen();
      signal?.throwIfAborted();
      const moment = momentNow();
      const error = ofDeadline(heard.error, attempts.over(moment.now), before);
      const why = error.reason === "" ? error.code : error.reason;
      const delay = attempts.delay(error, moment);
      if (delay === undefined) {
        logger.debug(`${call.method.name}: ${why} after ${since(began)}`);
        throw error;
      }
      logger.info(`${call.method.name}: ${why}, again in ${String(Math.round(delay))} ms`);
      await this.sleep(delay, signal);
      before = error;
    }
  }

  async #attempt<T>(
    call: Call<T>,
    timeout: number,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly answer: Message } | { readonly error: LedgerError }> {
    try {
      const answered = await this.#connection.transport.unary(call.method, signal, timeout, undefined, call.request);
      return { answer: answered.message };
    } catch (raised) {
      return { error: errorOf(raised) };
    }
  }

  /** The items of all pages, each page read when it is reached. */
  async *pages<T>(pages: Pages<T>, options: CallOptions): AsyncGenerator<T, void, undefined> {
    let token = "";
    do {
      const { items, next } = await this.call(pages(token), options);
      yield* items;
      if (next !== "" && next === token) {
        throw new Internal("the server answers the same page again and again");
      }
      token = next;
    } while (token !== "");
  }

  /** Makes the calls of a program. */
  async program<T>(program: Program<T>, options: CallOptions): Promise<T> {
    let step = program.next();
    while (step.done !== true) {
      step = program.next(await this.call(step.value, options));
    }
    return step.value;
  }

  /** Opens a stream. One that is resumed by another one breaks when its buffer is full; otherwise its server waits. */
  open(call: StreamCall<unknown>, resumes: boolean): ServerStream<Message> {
    const { transport } = this.#connection;
    return new ServerStream(async (signal) => {
      const request = createAsyncIterable([call.request]);
      const answers = await transport.stream(call.method, signal, undefined, undefined, request);
      return answers.message;
    }, resumes);
  }

  /** Waits, at most until the client is closed or the signal aborted. */
  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#closing.delete(wake);
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      const timer = setTimeout(wake, milliseconds);
      this.#closing.add(wake);
      signal?.addEventListener("abort", wake);
    });
  }

  /** Calls back when the client is closed; returns what ends that. */
  onClose(listener: () => void): () => void {
    this.#closing.add(listener);
    return () => {
      this.#closing.delete(listener);
    };
  }

  checkOpen(): void {
    if (this.#isClosed) {
      throw new ClientClosed("the client was closed");
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const listener of [...this.#closing]) {
      listener();
    }
    this.#connection.close(new ClientClosed("the client was closed"));
  }
}

/** The present moment, for the steps. */
export function momentNow(): Moment {
  return { now: performance.now(), chance: Math.random() };
}

function since(began: number): string {
  return `${(performance.now() - began).toFixed(1)} ms`;
}

/**
 * The error of an attempt, where the deadline was its cause: a server may end a call at its deadline before this process does. It
 * tells what the attempt before has failed by.
 */
function ofDeadline(error: LedgerError, isOver: boolean, before: LedgerError | undefined): LedgerError {
  const isBreak = ["CANCELLED", "INTERNAL", "UNKNOWN", "UNAVAILABLE"].includes(error.code) && !error.nothingBegan;
  const isOwn = error.code === "DEADLINE_EXCEEDED" && before !== undefined;
  if (error.reason !== "" || !(isOwn || (isOver && isBreak))) {
    return error;
  }
  const why = before === undefined ? "" : `; the attempt before: ${before.message}`;
  return new DeadlineExceeded(`the deadline passed${why}`, { cause: before ?? error });
}
