import { ClientClosed } from "../errors/index.ts";
import type { Execution } from "../records/execution.ts";
import type { Update } from "../updates.ts";

/** What a reader of an execution's updates has so far. */
export class Reading {
  /** Empty until it is known. */
  executionId: string;
  /** The execution, once it has ended. */
  execution: Execution | undefined;
  #pieces: string[] = [];

  constructor(executionId: string) {
    this.executionId = executionId;
  }

  /** The text of the present attempt. */
  get text(): string {
    if (this.#pieces.length > 1) {
      this.#pieces = [this.#pieces.join("")];
    }
    return this.#pieces[0] ?? "";
  }

  take(update: Update): void {
    switch (update.kind) {
      case "text":
        this.#pieces.push(update.text);
        break;
      case "restarted":
        this.#pieces = [];
        break;
      case "joined":
      case "stateChanged":
        this.executionId = update.executionId;
        break;
      case "ended":
        this.execution = update.execution;
        this.executionId = update.execution.id;
        break;
    }
  }

  /** The execution, where the updates are over. */
  ended(): Execution {
    if (this.execution === undefined) {
      throw new ClientClosed("the updates were closed before the execution ended");
    }
    return this.execution;
  }
}
