/** Calls that answer once: what is sent, whether it may be repeated, and what its answer is read as. No I/O. */

import type { DescMessage, DescMethodUnary, Message, MessageShape } from "@bufbuild/protobuf";

export interface Call<T> {
  readonly method: DescMethodUnary;
  readonly request: Message;
  readonly read: (answer: Message) => T;
  /** Whether it may be done twice. Else it is repeated only where the server has not begun with it. */
  readonly freely: boolean;
  /** Milliseconds for all its attempts together; undefined: the client's timeout. */
  readonly limitMs: number | undefined;
}

/** The call of a method by a request that is its own. */
export function call<I extends DescMessage, O extends DescMessage, T>(
  method: DescMethodUnary<I, O>,
  request: MessageShape<I>,
  read: (answer: MessageShape<O>) => T,
  { freely = true, limitMs }: { readonly freely?: boolean; readonly limitMs?: number | undefined } = {},
): Call<T> {
  // The types are checked here, and forgotten: whoever makes the calls does not know them.
  return { method, request, read: read as (answer: Message) => T, freely, limitMs };
}

/** Items, and the token of the next page; empty where there is none. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string;
}

/** The call for the page of a token. */
export type Pages<T> = (pageToken: string) => Call<Page<T>>;

/** Several calls, one after the other: yields each, is sent its answer, and returns the result of all. */
export type Program<T> = Generator<Call<unknown>, T, unknown>;

/** Makes a call within a program. */
export function* asked<T>(one: Call<T>): Generator<Call<unknown>, T, unknown> {
  // Whoever makes the calls of a program sends each one's own answer.
  return (yield one) as T;
}
