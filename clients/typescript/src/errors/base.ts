/** The names of gRPC's status codes. */
export const CODES = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

/** A status code of gRPC, by its name. */
export type StatusCode = (typeof CODES)[number];

/** What a {@link LedgerError} is made of; all of it is optional. */
export interface ErrorDetails {
  readonly code?: StatusCode;
  readonly reason?: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly retryAfterMs?: number | undefined;
  /** The request was certainly not sent: there was no connection, or the server refused the stream unread. */
  readonly unsent?: boolean;
  readonly cause?: unknown;
}

/** The base of all errors of this package. */
export class LedgerError extends Error {
  /** The code of a class; what a server sent wins. */
  protected static readonly code: StatusCode = "UNKNOWN";

  /** gRPC's status code. */
  readonly code: StatusCode;
  /** Why, as in the contract's `ErrorReason` without its prefix; empty where no server gave one. */
  readonly reason: string;
  /** What is wrong with which field of the request. */
  readonly fields: Readonly<Record<string, string>>;
  /** What else the server tells, such as `prompt` or `execution_id`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Milliseconds after which the server asks to be called again; undefined where it does not. */
  readonly retryAfterMs: number | undefined;
  readonly #unsent: boolean;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, "cause" in details ? { cause: details.cause } : undefined);
    this.code = details.code ?? new.target.code;
    this.reason = details.reason ?? "";
    this.fields = details.fields ?? {};
    this.metadata = details.metadata ?? {};
    this.retryAfterMs = details.retryAfterMs;
    this.#unsent = details.unsent ?? false;
  }

  /** Whether the server has certainly not begun with the request. */
  get nothingBegan(): boolean {
    if (this.reason !== "") {
      return (this.reason === "DRAINING" || this.reason === "OVERLOADED") && !("execution_id" in this.metadata);
    }
    return this.#unsent;
  }
}

/** Gives the classes their names, which stay as they are where code is minified. */
export function named(classes: Readonly<Record<string, abstract new (...args: never[]) => LedgerError>>): void {
  for (const [name, each] of Object.entries(classes)) {
    Object.defineProperty(each.prototype, "name", { value: name, configurable: true, writable: true });
  }
}

named({ LedgerError });
