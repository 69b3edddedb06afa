/** The calls about executions. */

import { create } from "@bufbuild/protobuf";

import {
  CodeRegistrationService,
  ExecuteCodePromptRequestSchema,
} from "../gen/promptledger/v1/code_registration_pb.js";
import {
  CancelExecutionRequestSchema,
  ExecutionService,
  GetExecutionRequestSchema,
  ListExecutionsRequestSchema,
  RunExecutionRequestSchema,
  SubmitExecutionRequestSchema,
  type WatchExecutionsRequest,
  WatchExecutionsRequestSchema,
} from "../gen/promptledger/v1/execution_pb.js";
import {
  type Execution as RawExecution,
  ExecutionMode as RawMode,
  ExecutionModeSchema,
  ExecutionStatusSchema,
  ExecutionView,
} from "../gen/promptledger/v1/execution_record_pb.js";
import { type ExecutionMode, type ExecutionStatus, statusWord } from "../records/common.ts";
import { present } from "../records/answers.ts";
import { Execution } from "../records/execution.ts";
import { executionDeadline } from "../spec.ts";
import type { Executed } from "../steps/follower.ts";
import { type Model, modelRef } from "../values/config.ts";
import { timestamp } from "../values/time.ts";
import { enumOf } from "../values/words.ts";
import { type Call, call, type Pages } from "./call.ts";

/** Executes within the call. Without a key a repeat might call the model, and pay, twice. */
export function run({ spec, tracking }: Executed, deadlineMs: number | undefined): Call<Execution> {
  const read = (answer: { readonly execution?: RawExecution | undefined; readonly reused: boolean }): Execution =>
    new Execution(present(answer.execution), answer.reused);
  const options = { freely: spec.idempotencyKey !== "", limitMs: deadlineMs ?? executionDeadline(spec) };
  if (!tracking) {
    return call(ExecutionService.method.runExecution, create(RunExecutionRequestSchema, { spec }), read, options);
  }
  const request = create(ExecuteCodePromptRequestSchema, { spec, mode: RawMode.SYNC });
  return call(CodeRegistrationService.method.executeCodePrompt, request, read, options);
}

/** What `submit` was answered. */
export interface Submission {
  readonly id: string;
  readonly status: ExecutionStatus;
  readonly reused: boolean;
}

/** Hands over to a worker; the spec has an idempotency key. */
export function submit({ spec, tracking }: Executed, deadlineMs: number | undefined): Call<Submission> {
  const options = { limitMs: deadlineMs };
  if (!tracking) {
    const request = create(SubmitExecutionRequestSchema, { spec });
    return call(
      ExecutionService.method.submitExecution,
      request,
      (answer) => ({ id: answer.executionId, status: statusWord(answer.status), reused: answer.reused }),
      options,
    );
  }
  const request = create(ExecuteCodePromptRequestSchema, { spec, mode: RawMode.ASYNC });
  return call(
    CodeRegistrationService.method.executeCodePrompt,
    request,
    ({ execution, reused }) => {
      const { executionId, status } = present(execution);
      return { id: executionId, status: statusWord(status), reused };
    },
    options,
  );
}

export function getExecution(executionId: string): Call<Execution> {
  const request = create(GetExecutionRequestSchema, { executionId });
  return call(ExecutionService.method.getExecution, request, (answer) => new Execution(present(answer.execution)));
}

export function cancelExecution(executionId: string, reason: string): Call<Execution> {
  const request = create(CancelExecutionRequestSchema, { executionId, reason });
  return call(ExecutionService.method.cancelExecution, request, (answer) => new Execution(present(answer.execution)));
}

/** Which executions to tail; filters are joined by "and". */
export interface TailFilter {
  readonly promptName?: string | undefined;
  readonly environment?: string | undefined;
  readonly correlationId?: string | undefined;
  readonly statuses?: readonly ExecutionStatus[] | undefined;
  /** Begin with what has changed since then, beside what is unfinished. */
  readonly since?: Date | undefined;
  /** Whether to tell the texts too. */
  readonly full?: boolean | undefined;
}

/** Which executions to list; filters are joined by "and". */
export interface ExecutionFilter extends Omit<TailFilter, "since"> {
  readonly version?: number | undefined;
  readonly label?: string | undefined;
  readonly mode?: ExecutionMode | undefined;
  readonly model?: Model | undefined;
  readonly errorType?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly startTime?: Date | undefined;
  readonly endTime?: Date | undefined;
  readonly pageSize?: number | undefined;
}

/** The fields that lists and tails of executions share. */
function shared(filter: ExecutionFilter | TailFilter): {
  promptName: string;
  environment: string;
  correlationId: string;
  statuses: number[];
  view: ExecutionView;
} {
  return {
    promptName: filter.promptName ?? "",
    environment: filter.environment ?? "",
    correlationId: filter.correlationId ?? "",
    statuses: (filter.statuses ?? []).map((each) => enumOf(ExecutionStatusSchema, each, "statuses")),
    view: filter.full === true ? ExecutionView.FULL : ExecutionView.UNSPECIFIED,
  };
}

export function listExecutions(filter: ExecutionFilter): Pages<Execution> {
  const fields = {
    ...shared(filter),
    label: filter.label ?? "",
    mode: filter.mode === undefined ? RawMode.UNSPECIFIED : enumOf(ExecutionModeSchema, filter.mode, "mode"),
    errorType: filter.errorType ?? "",
    metadata: { ...filter.metadata },
    pageSize: filter.pageSize ?? 0,
    ...(filter.version === undefined ? {} : { versionNumber: filter.version }),
    ...(filter.model === undefined ? {} : { model: modelRef(filter.model) }),
    ...(filter.startTime === undefined ? {} : { startTime: timestamp(filter.startTime, "start_time") }),
    ...(filter.endTime === undefined ? {} : { endTime: timestamp(filter.endTime, "end_time") }),
  };
  return (pageToken) =>
    call(
      ExecutionService.method.listExecutions,
      create(ListExecutionsRequestSchema, { ...fields, pageToken }),
      (answer) => ({
        items: answer.executions.map((each) => new Execution(each)),
        next: answer.nextPageToken,
      }),
    );
}

export function tailRequest(filter: TailFilter): WatchExecutionsRequest {
  return create(WatchExecutionsRequestSchema, {
    ...shared(filter),
    ...(filter.since === undefined ? {} : { since: timestamp(filter.since, "since") }),
  });
}
