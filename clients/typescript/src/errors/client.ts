/** Errors of this client alone: no server sent them. */

import type { Execution } from "../records/execution.ts";
import { LedgerError, named, type StatusCode } from "./base.ts";

/** The base of the errors that no server sent. */
export class ClientError extends LedgerError {}

/** The options of the client cannot be used. */
export class InvalidOptions extends ClientError {
  protected static override readonly code: StatusCode = "INVALID_ARGUMENT";
}

/** The client, or what was read, was closed. */
export class ClientClosed extends ClientError {
  protected static override readonly code: StatusCode = "CANCELLED";
}

/** A watch broke, and nothing came of trying for `patienceMs`. */
export class GaveUp extends ClientError {
  protected static override readonly code: StatusCode = "UNAVAILABLE";
}

/** A stream broke. Its spec has no idempotency key, so the execution, if it began, is canceled. */
export class NotResumable extends ClientError {
  protected static override readonly code: StatusCode = "UNAVAILABLE";
}

/** The execution ended in a way that this client does not know; a newer client is needed. */
export class Unreadable extends ClientError {
  protected static override readonly code: StatusCode = "UNIMPLEMENTED";
}

/** The prompt cache has not been filled yet. */
export class NotSynced extends ClientError {
  protected static override readonly code: StatusCode = "UNAVAILABLE";
}

/** The execution failed, or was canceled; thrown by `raiseForStatus`. */
export class ExecutionFailed extends ClientError {
  readonly execution: Execution;

  constructor(execution: Execution) {
    const why = execution.errorMessage || execution.errorType || execution.cancelReason;
    super(`execution ${execution.id} ${execution.status}${why === "" ? "" : `: ${why}`}`);
    this.execution = execution;
  }
}

named({ ClientError, InvalidOptions, ClientClosed, GaveUp, NotResumable, Unreadable, NotSynced, ExecutionFailed });
