/** Errors by gRPC's status code: what a server sends whose reason is not known, or that has none. */

import { LedgerError, named, type StatusCode } from "./base.ts";

/** The call was ended by its caller, or its connection broke. */
export class Cancelled extends LedgerError {
  protected static override readonly code: StatusCode = "CANCELLED";
}

/** The connection broke, or something between answered. */
export class Unknown extends LedgerError {
  protected static override readonly code: StatusCode = "UNKNOWN";
}

/** The request is wrong, whatever the state of the ledger. */
export class InvalidArgument extends LedgerError {
  protected static override readonly code: StatusCode = "INVALID_ARGUMENT";
}

/** The deadline passed. What an execution with an idempotency key came to, a repeat finds. */
export class DeadlineExceeded extends LedgerError {
  protected static override readonly code: StatusCode = "DEADLINE_EXCEEDED";
}

/** Something that the request names does not exist. */
export class NotFound extends LedgerError {
  protected static override readonly code: StatusCode = "NOT_FOUND";
}

/** Something that the request would make exists. */
export class AlreadyExists extends LedgerError {
  protected static override readonly code: StatusCode = "ALREADY_EXISTS";
}

/** The key does not open this. */
export class PermissionDenied extends LedgerError {
  protected static override readonly code: StatusCode = "PERMISSION_DENIED";
}

/** Too much, too many or too large. */
export class ResourceExhausted extends LedgerError {
  protected static override readonly code: StatusCode = "RESOURCE_EXHAUSTED";
}

/** The ledger is not in the state that the request needs. */
export class FailedPrecondition extends LedgerError {
  protected static override readonly code: StatusCode = "FAILED_PRECONDITION";
}

/** The call met another one. */
export class Aborted extends LedgerError {
  protected static override readonly code: StatusCode = "ABORTED";
}

/** A cursor is beyond what there is. */
export class OutOfRange extends LedgerError {
  protected static override readonly code: StatusCode = "OUT_OF_RANGE";
}

/** The server has no such method, or does not read the request's encoding. */
export class Unimplemented extends LedgerError {
  protected static override readonly code: StatusCode = "UNIMPLEMENTED";
}

/** A failure of the server, or a broken connection. `metadata.error_id` finds the cause in the server's log. */
export class Internal extends LedgerError {
  protected static override readonly code: StatusCode = "INTERNAL";
}

/** There is no connection, it broke, or the server cannot answer now. */
export class Unavailable extends LedgerError {
  protected static override readonly code: StatusCode = "UNAVAILABLE";
}

/** Not sent by servers. */
export class DataLoss extends LedgerError {
  protected static override readonly code: StatusCode = "DATA_LOSS";
}

/** The key is missing or wrong. */
export class Unauthenticated extends LedgerError {
  protected static override readonly code: StatusCode = "UNAUTHENTICATED";
}

/** The classes by the names of their codes. */
export const BY_CODE = {
  Cancelled,
  Unknown,
  InvalidArgument,
  DeadlineExceeded,
  NotFound,
  AlreadyExists,
  PermissionDenied,
  ResourceExhausted,
  FailedPrecondition,
  Aborted,
  OutOfRange,
  Unimplemented,
  Internal,
  Unavailable,
  DataLoss,
  Unauthenticated,
};

named(BY_CODE);
