import { ExecutionFailed } from "../errors/client.ts";
import type { Execution as RawExecution } from "../gen/promptledger/v1/execution_record_pb.js";
import { dateOf, type ExecutionMode, type ExecutionStatus, modeWord, numberOf, statusWord } from "./common.ts";

/** A model's wish to have a tool called; `arguments` as the model wrote them, mostly a JSON text. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}

/** One execution. A failed one is a result like any other: {@link Execution.raiseForStatus} makes it an error. */
export class Execution {
  readonly id: string;
  readonly promptName: string;
  readonly versionNumber: number;
  readonly status: ExecutionStatus;
  readonly mode: ExecutionMode;
  /** What the model answered; of one that did not succeed, what there was until then. */
  readonly text: string;
  readonly toolCalls: readonly ToolCall[];
  readonly finishReason: string;
  readonly errorType: string;
  readonly errorMessage: string;
  readonly cancelReason: string;
  readonly attempts: number;
  readonly label: string;
  readonly checksumHash: string;
  readonly correlationId: string;
  readonly idempotencyKey: string;
  readonly renderedPrompt: string;
  readonly promptTokens: number | undefined;
  readonly responseTokens: number | undefined;
  readonly latencyMs: number | undefined;
  /** The cost in 10^-9 US dollars. */
  readonly costNanoUsd: number | undefined;
  readonly createdAt: Date | undefined;
  readonly completedAt: Date | undefined;
  /** Whether the idempotency key found it. */
  readonly reused: boolean;
  readonly #raw: RawExecution;

  constructor(raw: RawExecution, reused = false) {
    this.id = raw.executionId;
    this.promptName = raw.promptName;
    this.versionNumber = raw.versionNumber;
    this.status = statusWord(raw.status);
    this.mode = modeWord(raw.mode);
    this.text = raw.responseText;
    this.toolCalls = raw.responseToolCalls.map((call) => ({ id: call.id, name: call.name, arguments: call.arguments }));
    this.finishReason = raw.finishReason;
    this.errorType = raw.errorType;
    this.errorMessage = raw.errorMessage;
    this.cancelReason = raw.cancelReason;
    this.attempts = raw.attempts;
    this.label = raw.label;
    this.checksumHash = raw.checksumHash;
    this.correlationId = raw.correlationId;
    this.idempotencyKey = raw.idempotencyKey;
    this.renderedPrompt = raw.renderedPrompt;
    this.promptTokens = raw.promptTokens;
    this.responseTokens = raw.responseTokens;
    this.latencyMs = raw.latencyMs;
    this.costNanoUsd = numberOf(raw.costNanoUsd);
    this.createdAt = dateOf(raw.createdAt);
    this.completedAt = dateOf(raw.completedAt);
    this.reused = reused;
    this.#raw = raw;
  }

  /** The message that it was read from. */
  get raw(): RawExecution {
    return this.#raw;
  }

  get succeeded(): boolean {
    return this.status === "succeeded";
  }

  /** Returns itself where it succeeded or has not ended, else throws {@link ExecutionFailed}. */
  raiseForStatus(): this {
    if (this.status === "failed" || this.status === "canceled") {
      throw new ExecutionFailed(this);
    }
    return this;
  }
}
