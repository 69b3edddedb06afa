import { cancelExecution, getExecution, type Submission } from "./calls/executions.ts";
import type { Transport } from "./io/transport.ts";
import type { ExecutionStatus } from "./records/common.ts";
import type { Execution } from "./records/execution.ts";
import type { CallOptions } from "./spec.ts";
import { Follower } from "./steps/follower.ts";
import { type ResultOptions, Updates } from "./watching.ts";

/** What a watch may be told. */
export interface WatchOptions {
  /** Begins after this state change. */
  readonly afterSequence?: number | undefined;
  /** Ends the watch: it throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** An execution that is under way, or was. */
export class Handle {
  readonly id: string;
  /** As `submit` was answered; undefined for an execution that is known by its id alone. */
  readonly status: ExecutionStatus | undefined;
  /** Whether the idempotency key of `submit` found it. */
  readonly reused: boolean;
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport, id: string, submission?: Submission) {
    this.#transport = transport;
    this.id = id;
    this.status = submission?.status;
    this.reused = submission?.reused ?? false;
  }

  /** What happens to it. */
  watch({ afterSequence = 0, signal }: WatchOptions = {}): Updates {
    return new Updates(this.#transport, new Follower({ executionId: this.id, after: afterSequence }), signal);
  }

  /** Waits for its end. */
  async result({ timeoutMs, signal }: ResultOptions & Pick<WatchOptions, "signal"> = {}): Promise<Execution> {
    const updates = this.watch({ signal });
    try {
      return await updates.result({ timeoutMs });
    } finally {
      await updates.close();
    }
  }

  /** It as it is now. */
  async get(options: CallOptions = {}): Promise<Execution> {
    return this.#transport.call(getExecution(this.id), options);
  }

  /** Asks to cancel it; it may have to be watched to learn how it ends. */
  async cancel(reason = "", options: CallOptions = {}): Promise<Execution> {
    return this.#transport.call(cancelExecution(this.id, reason), options);
  }
}
