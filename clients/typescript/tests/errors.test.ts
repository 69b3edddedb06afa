import assert from "node:assert/strict";
import { test } from "node:test";

import { Code, ConnectError } from "@connectrpc/connect";

import * as client from "../src/index.ts";
import { errorOf, classOf } from "../src/io/status.ts";
import { ErrorReasonSchema } from "../src/proto.ts";

/** `PROMPT_NOT_FOUND` as the class for it is called. */
function className(reason: string): string {
  return reason.toLowerCase().replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

test("there is a class for each reason, under that of its code", () => {
  const reasons = ErrorReasonSchema.values.slice(1).map((value) => value.name.slice("ERROR_REASON_".length));
  assert.ok(reasons.length >= 38);
  for (const reason of reasons) {
    const made = new (classOf(reason, "UNKNOWN"))("said so");
    assert.equal(made.name, className(reason));
    assert.equal(made.constructor, client[made.name as "NotFound"], "it is exported");
    const byCode = new (classOf("", made.code))("said so");
    assert.notEqual(made.code, "UNKNOWN", `${made.name} has the code of its class`);
    assert.ok(made instanceof (byCode.constructor as typeof client.LedgerError), `${made.name} under ${byCode.name}`);
  }
});

test("codes that are not known are errors all the same", () => {
  const { LedgerError } = client;
  const codes = Object.values(Code).filter((code) => typeof code === "number");
  assert.equal(codes.length, 16);
  for (const code of codes) {
    const error = errorOf(new ConnectError("said so", code, { "grpc-status": String(code) }));
    assert.ok(error instanceof LedgerError && error.constructor !== LedgerError);
    assert.equal(error.name, className(error.code));
  }
  const odd = new ConnectError("odd", Code.Unknown, { "grpc-status": "99" });
  Object.assign(odd, { code: 99 });
  assert.equal(errorOf(odd).code, "UNKNOWN");
});

test("what breaks below gRPC is UNAVAILABLE, what a server says is as it says", () => {
  const broken = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
  const table: [ConnectError, client.StatusCode][] = [
    [new ConnectError("read ECONNRESET", Code.Aborted, undefined, undefined, broken), "UNAVAILABLE"],
    [new ConnectError("http/2 stream closed with error code CANCEL (0x8)", Code.Canceled), "UNAVAILABLE"],
    [new ConnectError("protocol error: missing status", Code.Internal), "INTERNAL"],
    [new ConnectError("the operation timed out", Code.DeadlineExceeded), "DEADLINE_EXCEEDED"],
    [new ConnectError("no", Code.Canceled, { "grpc-status": "1" }), "CANCELLED"],
    [new ConnectError("HTTP 503", Code.Unavailable), "UNAVAILABLE"],
  ];
  for (const [raised, code] of table) {
    assert.equal(errorOf(raised).code, code, raised.message);
  }
});

test("whether the server has begun", () => {
  const refused = new ConnectError("http/2 stream closed with error code REFUSED_STREAM (0x7)", Code.Unavailable);
  assert.ok(errorOf(refused).nothingBegan);
  assert.ok(!errorOf(new ConnectError("HTTP 503", Code.Unavailable)).nothingBegan);
  const own = new client.Draining("said so", { reason: "DRAINING" });
  assert.ok(own.nothingBegan && errorOf(own) === own);
});

test("an error without a message says its code", () => {
  assert.equal(errorOf(new ConnectError("", Code.NotFound, { "grpc-status": "5" })).message, "NOT_FOUND");
  assert.match(errorOf("a text").message, /a text/);
});

test("errors of the client say what they are", () => {
  const error = new client.ClientClosed("the client was closed");
  assert.ok(error instanceof client.ClientError && error instanceof client.LedgerError && error instanceof Error);
  assert.equal(String(error), "ClientClosed: the client was closed");
  assert.equal(error.code, "CANCELLED");
});
