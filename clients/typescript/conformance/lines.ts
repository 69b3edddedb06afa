/** What is printed of what the user saw. */

import {
  ClientError,
  type Execution,
  ExecutionFailed,
  type LedgerError,
  type Prompt,
  type PromptVersion,
  type StateChange,
  type TailUpdate,
  type Update,
  VariablesMissing,
} from "../src/index.ts";
import type { Json } from "./scenario.ts";

export interface Line extends Json {
  readonly saw: string;
}

export function print(line: Line): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

export function word(text: string | undefined): string | undefined {
  return text === undefined || text === "" ? undefined : text.toUpperCase();
}

export function executionFields(found: Execution): Json {
  return {
    execution_id: found.id,
    status: word(found.status),
    mode: word(found.mode),
    prompt_name: found.promptName,
    version_number: found.versionNumber,
    checksum_hash: found.checksumHash,
    label: found.label,
    text: found.text,
    tool_calls: found.toolCalls,
    finish_reason: found.finishReason,
    error_type: found.errorType,
    error_message: found.errorMessage,
    attempts: found.attempts,
    cancel_reason: found.cancelReason,
    correlation_id: found.correlationId,
    idempotency_key: found.idempotencyKey,
    rendered_prompt: found.renderedPrompt,
    reused: found.reused,
  };
}

export function promptFields(found: Prompt): Json {
  return {
    name: found.name,
    mode: word(found.mode),
    description: found.description,
    owner_team: found.ownerTeam,
    tags: found.tags,
    active_version: found.activeVersion,
    latest_version: found.latestVersion,
    labels: found.labels,
    archived: found.archivedAt !== undefined,
    template: found.version?.template,
    checksum_hash: found.version?.checksumHash,
  };
}

export function versionFields(found: PromptVersion): Json {
  return {
    version: found.number,
    status: word(found.status),
    template: found.template,
    checksum_hash: found.checksumHash,
    labels: found.labels,
    execution_count: found.executionCount,
  };
}

/** What is printed of an update of an execution or of a tail. */
export function updateLine(update: Update | TailUpdate): Line {
  switch (update.kind) {
    case "text":
      return { saw: "text", text: update.text };
    case "restarted":
      return { saw: "restarted", attempt: update.attempt };
    case "joined":
      return { saw: "joined", execution_id: update.executionId };
    case "stateChanged":
      return { saw: "state", ...changeFields(update) };
    case "ended":
      return { saw: "result", ...executionFields(update.execution) };
    case "found": {
      const { id, status } = update.execution;
      return { saw: "found", execution_id: id, sequence: update.sequence, status: word(status) };
    }
    case "changed":
      return { saw: "changed", ...changeFields(update.change), prompt_name: update.change.promptName };
    case "synced":
      return { saw: "synced" };
  }
}

function changeFields(change: StateChange): Json {
  return {
    execution_id: change.executionId,
    sequence: change.sequence,
    from: word(change.from),
    to: word(change.to),
    attempt: change.attempt,
    error_type: change.errorType,
  };
}

export function errorLine(error: LedgerError): Line {
  const line: Line = { saw: "error", class: error.name, message: error.message };
  if (error instanceof ExecutionFailed) {
    const { id, status, errorType } = error.execution;
    return { ...line, execution_id: id, status: word(status), error_type: errorType };
  }
  return {
    ...line,
    code: error instanceof ClientError ? undefined : error.code,
    reason: error.reason,
    fields: error.fields,
    metadata: error.metadata,
    retry_after: error.retryAfterMs === undefined ? undefined : error.retryAfterMs / 1_000,
    missing: error instanceof VariablesMissing ? error.missing : undefined,
  };
}
