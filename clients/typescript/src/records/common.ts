/** How the values of the contract's messages are read. */

import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { DescEnum } from "@bufbuild/protobuf";
import { ExecutionModeSchema, ExecutionStatusSchema } from "../gen/promptledger/v1/execution_record_pb.js";

/** A word that a newer server may send, beside those that are known. */
export type OtherWord = string & Record<never, never>;

export type ExecutionStatus = "queued" | "running" | "succeeded" | "failed" | "canceled" | OtherWord;
export type ExecutionMode = "sync" | "async" | OtherWord;
export type PromptMode = "full" | "tracking" | OtherWord;

/**
 * What the values of an enum are called: `succeeded` for `EXECUTION_STATUS_SUCCEEDED`. Empty where none is told; the number of
 * one that is not known, since a newer server may know more.
 */
export function words(schema: DescEnum): (value: number) => string {
  const prefix = schema.sharedPrefix?.toUpperCase() ?? "";
  const known = new Map(schema.values.map((each) => [each.number, each.name.slice(prefix.length).toLowerCase()]));
  known.set(0, "");
  return (value) => known.get(value) ?? String(value);
}

export const statusWord: (value: number) => ExecutionStatus = words(ExecutionStatusSchema);
export const modeWord: (value: number) => ExecutionMode = words(ExecutionModeSchema);

/** Milliseconds since 1970 of the last time that a `Date` has; the first one is as far before 1970. */
const LAST_TIME = 8.64e15;

/** A time, to the millisecond, or the nearest one that a `Date` has; undefined where it is absent. */
export function dateOf(stamp: Timestamp | undefined): Date | undefined {
  if (stamp === undefined) {
    return undefined;
  }
  const milliseconds = Number(stamp.seconds) * 1_000 + Math.floor(stamp.nanos / 1e6);
  return new Date(Math.min(Math.max(milliseconds, -LAST_TIME), LAST_TIME));
}

/** A whole number of 64 bits; undefined where it is absent. Those of the contract are far below 2^53. */
export function numberOf(value: bigint | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}
