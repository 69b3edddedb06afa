import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema, type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";

import { invalid } from "./json.ts";

/** A duration of so many milliseconds. */
export function duration(milliseconds: number, field: string): Duration {
  if (!Number.isFinite(milliseconds)) {
    throw invalid(field, `${String(milliseconds)} is no number of milliseconds`);
  }
  const seconds = Math.trunc(milliseconds / 1_000);
  const nanos = Math.round((milliseconds - seconds * 1_000) * 1e6);
  return create(DurationSchema, { seconds: BigInt(seconds), nanos });
}

/** How many milliseconds a duration has. */
export function milliseconds(duration: Duration): number {
  return Number(duration.seconds) * 1_000 + duration.nanos / 1e6;
}

/** A time. */
export function timestamp(date: Date, field: string): Timestamp {
  if (Number.isNaN(date.getTime())) {
    throw invalid(field, "it is no time");
  }
  return timestampFromDate(date);
}
