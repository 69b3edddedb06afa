/** A server that answers as it is told, over real gRPC, and keeps what it was asked. */

import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  isMessage,
  type Message,
  type MessageShape,
} from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.js";
import { connect, type ConnectOptions, type PromptLedger } from "../../src/index.ts";
import { AnalyticsService, CodeRegistrationService, ExecutionService, RegistryService } from "../../src/proto.ts";
import { duration } from "../../src/values/time.ts";

export const KEY = "pl_very-secret";

/** An error. Without a reason it has no details, as when a proxy answers. */
export interface Refusal {
  readonly code: Code;
  readonly reason?: string;
  readonly retryMs?: number;
  /** Also such as no server should send. */
  readonly retrySeconds?: bigint;
  readonly metadata?: Record<string, string>;
  readonly fields?: Record<string, string>;
}

export function refusal(code: Code, reason?: string, more: Omit<Refusal, "code" | "reason"> = {}): Refusal {
  return { code, ...(reason === undefined ? {} : { reason }), ...more };
}

/** Nothing more comes until the client hangs up. */
export const HANG = Symbol("hang");
/** The connection breaks. */
export const DROP = Symbol("drop");

/** What is answered next; a promise is waited for, and a function called. */
export type Item = Message | Refusal | typeof HANG | typeof DROP | Promise<unknown> | (() => void);
export type Answer = Item | readonly Item[];

export interface Asked {
  readonly method: string;
  readonly request: Message;
  readonly headers: Headers;
  /** Milliseconds. */
  readonly timeout: number | undefined;
}

/** Each call of a method takes the next of its answers; the last one is repeated. */
export class Scripted {
  readonly asked: Asked[] = [];
  /** Settles once a client has ended a call before its answer was over. */
  readonly hungUp = Promise.withResolvers<undefined>();
  readonly #answers = new Map<string, Answer[]>();
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #ledgers: PromptLedger[] = [];
  readonly #server: Http2Server;

  private constructor() {
    this.#server = createServer(
      connectNodeAdapter({
        routes: (router) => {
          this.#route(router);
        },
      }),
    );
    this.#server.on("session", (session) => {
      this.#sessions.add(session);
      session.on("close", () => this.#sessions.delete(session));
    });
  }

  /** One that ends with a test, or by `close`. */
  static async start(t?: TestContext): Promise<Scripted> {
    const scripted = new Scripted();
    t?.after(() => scripted.close());
    scripted.#server.listen(0, "127.0.0.1");
    await once(scripted.#server, "listening");
    return scripted;
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  /** How many connections there are. */
  get connections(): number {
    return this.#sessions.size;
  }

  connect(options: ConnectOptions = {}): PromptLedger {
    const ledger = connect({ server: this.url, apiKey: KEY, ...options });
    this.#ledgers.push(ledger);
    return ledger;
  }

  on(method: string, ...answers: readonly Answer[]): void {
    this.#answers.set(method, [...(this.#answers.get(method) ?? []), ...answers]);
  }

  /** The requests of a method. */
  requests<I extends DescMessage>(method: DescMethod & { readonly input: I }): MessageShape<I>[] {
    const own = this.asked.filter((asked) => asked.method === method.name);
    return own.map((asked) => asked.request as MessageShape<I>);
  }

  /** Breaks all connections. */
  drop(): void {
    for (const session of this.#sessions) {
      session.destroy();
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#ledgers.map((ledger) => ledger.close()));
    this.drop();
    this.#server.close();
    await once(this.#server, "close");
  }

  #route(router: ConnectRouter): void {
    for (const service of [RegistryService, ExecutionService, CodeRegistrationService, AnalyticsService]) {
      this.#serve(router, service);
    }
  }

  #serve(router: ConnectRouter, service: DescService): void {
    const methods = service.methods.map((method) => [
      method.localName,
      method.methodKind === "unary"
        ? async (request: Message, context: HandlerContext) => {
            const { value } = await this.#answer(method, request, context).next();
            return value ?? create(method.output);
          }
        : (request: Message, context: HandlerContext) => this.#answer(method, request, context),
    ]);
    router.service(service, Object.fromEntries(methods) as object);
  }

  async *#answer(method: DescMethod, request: Message, context: HandlerContext): AsyncGenerator<Message, undefined> {
    this.asked.push({ method: method.name, request, headers: context.requestHeader, timeout: context.timeoutMs() });
    const answers = this.#answers.get(method.name) ?? [];
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer === undefined) {
      throw new ConnectError(`nothing is scripted for ${method.name}`, Code.FailedPrecondition);
    }
    let isOver = false;
    context.signal.addEventListener("abort", () => {
      if (!isOver) {
        this.hungUp.resolve(undefined);
      }
    });
    try {
      for (const item of Array.isArray(answer) ? (answer as readonly Item[]) : [answer as Item]) {
        if (isMessage(item)) {
          yield item;
        } else if (typeof item === "function") {
          item();
        } else if (item instanceof Promise) {
          await item;
        } else if (item === HANG) {
          await new Promise((resolve) => {
            context.signal.addEventListener("abort", resolve);
          });
        } else if (item === DROP) {
          this.drop();
        } else {
          isOver = true;
          throw errorOf(item);
        }
      }
    } finally {
      isOver ||= !context.signal.aborted;
    }
    return undefined;
  }
}

function errorOf({ code, reason, retryMs, retrySeconds, metadata = {}, fields = {} }: Refusal): ConnectError {
  const error = new ConnectError("said so", code);
  if (reason !== undefined) {
    error.details.push({ desc: ErrorInfoSchema, value: { reason, domain: "promptledger.dev", metadata } });
  }
  if (retryMs !== undefined) {
    error.details.push({ desc: RetryInfoSchema, value: { retryDelay: duration(retryMs, "retry") } });
  }
  if (retrySeconds !== undefined) {
    error.details.push({ desc: RetryInfoSchema, value: { retryDelay: { seconds: retrySeconds, nanos: 0 } } });
  }
  if (Object.keys(fields).length > 0) {
    const fieldViolations = Object.entries(fields).map(([field, description]) => ({ field, description }));
    error.details.push({ desc: BadRequestSchema, value: { fieldViolations } });
  }
  return error;
}

/** All items of an iterator. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) {
    found.push(item);
  }
  return found;
}

/** The next item; it fails where there is none. */
export async function following<T>(items: AsyncIterator<T, void>): Promise<T> {
  const { done, value } = await items.next();
  if (done === true) {
    throw new Error("there is no more");
  }
  return value;
}
