/** Errors from what calls end with: Connect's errors, and the details that the server has packed into them. */

import { Code, ConnectError } from "@connectrpc/connect";

import { CODES, LedgerError, type StatusCode } from "../errors/base.ts";
import { BY_CODE } from "../errors/codes.ts";
import { BY_REASON } from "../errors/reasons.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { milliseconds } from "../values/time.ts";
import { NotConnected } from "./connection.ts";

type ErrorClass = typeof LedgerError;

/** The name of a class as the contract writes it: `PROMPT_NOT_FOUND` for `PromptNotFound`. */
function contractName(name: string): string {
  return name.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}

function byContractName(classes: Readonly<Record<string, ErrorClass>>): Map<string, ErrorClass> {
  return new Map(Object.entries(classes).map(([name, each]) => [contractName(name), each]));
}

const CLASS_BY_REASON = byContractName(BY_REASON);
const CLASS_BY_CODE = byContractName(BY_CODE);

/** The class for a reason, or else for a code. */
export function classOf(reason: string, code: StatusCode): ErrorClass {
  return CLASS_BY_REASON.get(reason) ?? CLASS_BY_CODE.get(reason) ?? CLASS_BY_CODE.get(code) ?? LedgerError;
}

/** The error that a call has ended with. */
export function errorOf(raised: unknown): LedgerError {
  if (raised instanceof LedgerError) {
    return raised;
  }
  const error = ConnectError.from(raised);
  const info = error.findDetails(ErrorInfoSchema)[0];
  const retry = error.findDetails(RetryInfoSchema)[0];
  const violations = error.findDetails(BadRequestSchema).flatMap((each) => each.fieldViolations);
  const reason = info?.reason ?? "";
  const code = codeOf(error);
  return new (classOf(reason, code))(error.rawMessage === "" ? code : error.rawMessage, {
    code,
    reason,
    fields: Object.fromEntries(violations.map((each) => [each.field, each.description])),
    metadata: info?.metadata ?? {},
    retryAfterMs: retry?.retryDelay === undefined ? undefined : milliseconds(retry.retryDelay),
    // Of what a server sent, everything is in these fields.
    ...(isOfServer(error) ? {} : { unsent: isUnsent(error), cause: error }),
  });
}

function codeOf(error: ConnectError): StatusCode {
  // For a connection that broke Connect has CANCELLED, ABORTED or INTERNAL; the rest of gRPC's world has UNAVAILABLE. What
  // this process has canceled itself is told by the reason of its signal, and is not looked at here.
  const isBreak = error.code === Code.Canceled || (error.code !== Code.DeadlineExceeded && hasSystemCause(error));
  if (!isOfServer(error) && isBreak) {
    return "UNAVAILABLE";
  }
  // A server may send a number that is no code.
  const codes: readonly (StatusCode | undefined)[] = CODES;
  return codes[error.code] ?? "UNKNOWN";
}

/** Whether a server sent it; else it came about in this process. */
function isOfServer(error: ConnectError): boolean {
  return error.metadata.has("grpc-status") || error.metadata.has("grpc-status-details-bin");
}

/** Whether it comes of an error of the system, the network or HTTP/2. */
function hasSystemCause(error: ConnectError): boolean {
  for (let cause: unknown = error.cause; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof NotConnected || ("code" in cause && typeof cause.code === "string")) {
      return true;
    }
  }
  return false;
}

/** Whether there was no connection to send the request over, or the server has refused to look at its stream. */
function isUnsent(error: ConnectError): boolean {
  return error.cause instanceof NotConnected || error.rawMessage.includes("REFUSED_STREAM (0x7)");
}
