/** The generated stubs with the same options of the connection, the same headers and the same requests, and nothing else. */

import { createClient } from "@connectrpc/connect";

import { ExecutionService, RegistryService } from "../src/proto.ts";
import { uuid7 } from "../src/ids.ts";
import { connection } from "../src/io/connection.ts";
import { settingsOf } from "../src/options/settings.ts";

/** Milliseconds: the layer's, for a call that answers once. */
const TIMEOUT = 30_000;

export interface Stubs {
  getPrompt(name: string): Promise<unknown>;
  submit(promptName: string, model: { readonly provider: string; readonly modelName: string }): Promise<unknown>;
  readonly close: () => void;
}

export function stubs(): Stubs {
  const { target } = settingsOf({}, process.env);
  const made = connection(target, []);
  const { transport } = made;
  const registry = createClient(RegistryService, transport);
  const executions = createClient(ExecutionService, transport);
  return {
    getPrompt: (name) => registry.getPrompt({ name }, { timeoutMs: TIMEOUT }),
    submit: (promptName, model) => {
      const spec = { promptName, model, variables: {}, idempotencyKey: uuid7() };
      return executions.submitExecution({ spec }, { timeoutMs: TIMEOUT });
    },
    close: () => {
      made.close(new Error("the measurement is over"));
    },
  };
}
