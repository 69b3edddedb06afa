/** The decisions of a watch: which updates it yields, and when it opens another stream. */

import type { DescMessage, DescMethodServerStreaming, Message as ProtoMessage, MessageShape } from "@bufbuild/protobuf";

import { LedgerError, Unreadable } from "../errors/index.ts";
import { Broken, type Failure, last, type Moment, ofStream, RetryWindow } from "./retry.ts";

/** A stream to open, what to send, and how to read an answer. */
export interface StreamCall<Message> {
  readonly method: DescMethodServerStreaming;
  readonly request: ProtoMessage;
  /** Undefined where an answer holds nothing. */
  readonly read: (answer: ProtoMessage) => Message | undefined;
}

/** The call of a method by a request that is its own. */
export function streamCall<I extends DescMessage, O extends DescMessage, Message>(
  method: DescMethodServerStreaming<I, O>,
  request: MessageShape<I>,
  read: (answer: MessageShape<O>) => Message | undefined,
): StreamCall<Message> {
  // The types are checked here, and forgotten: whoever makes the calls does not know them.
  return { method, request, read: read as (answer: ProtoMessage) => Message | undefined };
}

/**
 * The effect of a message: `news` where it was new, or a heartbeat, by which the retry window starts anew; `nothing` where it
 * contained nothing new; `over` where it was the last; `gap` where something before it is missing; `unreadable` where it was
 * the last, in an unknown form.
 */
export type Taken = "news" | "nothing" | "over" | "gap" | "unreadable";

/** Reads the messages of several streams as one sequence of updates. */
export abstract class Reader<Message, Update> {
  /** The next stream to open. */
  abstract ask(): StreamCall<Message>;

  /** Reads a message and appends what is new to `updates`. */
  abstract take(message: Message, updates: Update[]): Taken;

  /** Another stream begins. */
  begins(): void {
    return;
  }

  /** Whether a broken stream may be resumed by another. */
  // eslint-disable-next-line @typescript-eslint/class-literal-property-style -- overridden by what is computed
  get resumes(): boolean {
    return true;
  }

  /** A stream broke. Returns whether another one may be opened all the same, though the rules for streams say no. */
  // eslint-disable-next-line @typescript-eslint/no-unused-vars -- for those that override it
  broke(_failure: Failure, _updates: Update[]): boolean {
    return false;
  }
}

/** What to do once the updates have been told: read on, end, or open another stream after so many milliseconds. */
export type Next = "read" | "over" | { readonly delay: number };

/** The state of a watch. */
export class Machine<Message, Update> {
  readonly reader: Reader<Message, Update>;
  readonly #window: RetryWindow;
  /** The present stream has delivered a message. */
  #heard = false;

  constructor(reader: Reader<Message, Update>, patience: number) {
    this.reader = reader;
    this.#window = new RetryWindow(patience);
  }

  /** Another stream was opened. */
  opened(): void {
    this.#heard = false;
    this.reader.begins();
  }

  /** A message arrived. Appends what is new to `updates`. */
  took(message: Message | undefined, moment: Moment, updates: Update[]): Next {
    this.#heard = true;
    switch (message === undefined ? "nothing" : this.reader.take(message, updates)) {
      case "news":
        this.#window.progressed();
        return "read";
      case "nothing":
        return "read";
      case "over":
        return "over";
      case "gap":
        return this.failed(Broken.gap, moment, updates);
      case "unreadable":
        throw new Unreadable("the execution ended in a way that this client does not know; a newer client is needed");
    }
  }

  /** The stream broke, or could not be opened. */
  failed(failure: Failure, moment: Moment, updates: Update[]): Next {
    const error = failure instanceof LedgerError ? failure : undefined;
    // What the server has not begun with can be asked for again, whatever it is.
    const untouched = !this.#heard && error?.nothingBegan === true;
    if (!this.reader.resumes && !untouched) {
      throw last(failure);
    }
    const recovers = this.reader.broke(failure, updates) || untouched;
    const byRule = ofStream(failure);
    const verdict = recovers && !byRule.again ? { again: true, asked: error?.retryAfterMs } : byRule;
    // A stream that had begun, and was ended by a server that says when to come back, is no failure.
    if (this.#heard && verdict.again && verdict.asked !== undefined) {
      this.#window.progressed();
    }
    this.#heard = false;
    return { delay: this.#window.failed(failure, verdict, moment) };
  }
}
