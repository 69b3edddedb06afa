/** Messages of streams, in short. */

import { create, type MessageInitShape } from "@bufbuild/protobuf";

import {
  type Execution,
  type ExecutionEvent,
  ExecutionEventSchema,
  ExecutionSchema,
  ExecutionStatus,
  PromptChangeSchema,
  StreamExecutionResponseSchema,
  type StreamExecutionResponse,
  WatchExecutionResponseSchema,
  type WatchExecutionResponse,
  WatchExecutionsResponseSchema,
  type WatchExecutionsResponse,
  type WatchPromptsResponse,
  WatchPromptsResponseSchema,
} from "../../src/proto.ts";

export const ID = "0190163d-8694-739b-aea5-966c26f8ad91";

type Status = keyof typeof ExecutionStatus;

function event(init: MessageInitShape<typeof ExecutionEventSchema>): ExecutionEvent {
  return create(ExecutionEventSchema, { executionId: ID, ...init });
}

export function snapshot(
  through: number,
  { reused = false, found }: { reused?: boolean; found?: Execution } = {},
): ExecutionEvent {
  const value = { throughSequence: BigInt(through), reused, ...(found === undefined ? {} : { execution: found }) };
  return event({ kind: { case: "snapshot", value } });
}

export function text(attempt: number, offset: number, piece: string): ExecutionEvent {
  return event({ kind: { case: "textDelta", value: { attempt, offset, text: piece } } });
}

export function heartbeat(through: number): ExecutionEvent {
  return event({ kind: { case: "heartbeat", value: { throughSequence: BigInt(through) } } });
}

export function unknown(sequence: number): ExecutionEvent {
  return event({ sequence: BigInt(sequence) });
}

/** A change; `at` in seconds. */
export function state(
  sequence: number,
  to: Status,
  {
    attempt = 1,
    at,
    executionId = ID,
    ...more
  }: { attempt?: number; at?: number; executionId?: string; terminal?: boolean } = {},
): ExecutionEvent {
  return event({
    executionId,
    sequence: BigInt(sequence),
    kind: { case: "stateChanged", value: { to: ExecutionStatus[to], attempt } },
    ...(at === undefined ? {} : { at: { seconds: BigInt(at) } }),
    ...more,
  });
}

export function end(
  sequence: number,
  response = "",
  { to = "SUCCEEDED", attempt = 1 }: { to?: Status; attempt?: number } = {},
): ExecutionEvent {
  const changed = { to: ExecutionStatus[to], attempt, execution: execution(to, response) };
  return event({ sequence: BigInt(sequence), terminal: true, kind: { case: "stateChanged", value: changed } });
}

/** The end of a tail's first part; `at` in seconds. */
export function tailSynced(at: number): ExecutionEvent {
  return event({ executionId: "", at: { seconds: BigInt(at) }, kind: { case: "synced", value: {} } });
}

export function execution(
  status: Status = "SUCCEEDED",
  responseText = "",
  more: MessageInitShape<typeof ExecutionSchema> = {},
): Execution {
  return create(ExecutionSchema, {
    executionId: ID,
    promptName: "greet",
    status: ExecutionStatus[status],
    responseText,
    ...more,
  });
}

export function watched(...events: ExecutionEvent[]): WatchExecutionResponse[] {
  return events.map((each) => create(WatchExecutionResponseSchema, { event: each }));
}

export function streamed(...events: ExecutionEvent[]): StreamExecutionResponse[] {
  return events.map((each) => create(StreamExecutionResponseSchema, { event: each }));
}

export function tailed(...events: ExecutionEvent[]): WatchExecutionsResponse[] {
  return events.map((each) => create(WatchExecutionsResponseSchema, { event: each }));
}

/** A prompt's state: the first number is the active version, a label points at the last one. */
export function promptState(
  name: string,
  revision: number,
  numbers: readonly number[],
  { label, more = false }: { label?: string; more?: boolean } = {},
): WatchPromptsResponse {
  const versions = numbers.map((number) => ({
    promptName: name,
    versionNumber: number,
    template: { case: "templateSource" as const, value: `${name} ${String(number)}` },
  }));
  const [active, ...labelled] = versions;
  const change = create(PromptChangeSchema, {
    prompt: {
      promptId: name,
      name,
      ...(active === undefined ? {} : { activeVersionNumber: active.versionNumber }),
      labels: label === undefined ? [] : [{ label, versionNumber: numbers.at(-1) ?? 0 }],
    },
    labelledVersions: labelled,
    moreFollows: more,
    ...(active === undefined ? {} : { activeVersion: active }),
  });
  return create(WatchPromptsResponseSchema, { revision: BigInt(revision), kind: { case: "change", value: change } });
}

export function synced(revision: number): WatchPromptsResponse {
  return create(WatchPromptsResponseSchema, { revision: BigInt(revision), kind: { case: "synced", value: {} } });
}

export function promptsHeartbeat(revision: number, behind = false): WatchPromptsResponse {
  return create(WatchPromptsResponseSchema, {
    revision: BigInt(revision),
    kind: { case: "heartbeat", value: { behind } },
  });
}
