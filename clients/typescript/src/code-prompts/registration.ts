/** Registering prompts that live in code. */

import { createHash } from "node:crypto";

import { create } from "@bufbuild/protobuf";

import { asked, call, type Program } from "../calls/call.ts";
import { getVersion } from "../calls/versions.ts";
import {
  type CodePrompt as RawCodePrompt,
  CodeRegistrationService,
  RegisterCodePromptsRequestSchema,
  type RegisterCodePromptsResponse,
} from "../gen/promptledger/v1/code_registration_pb.js";
import { type RegisteredPrompt, registeredPrompt } from "../records/answers.ts";
import type { PromptVersion } from "../records/prompt.ts";
import { readable, unifiedDiff } from "./diff.ts";

/** What a registration may be told. */
export interface RegisterOptions {
  /** Whether to write nothing, and to tell what would be written. */
  readonly dryRun?: boolean | undefined;
  /** Whether to make the versions the active ones; true where it is absent. */
  readonly setActive?: boolean | undefined;
  readonly createdBy?: string | undefined;
  /** Where the code comes from. */
  readonly repository?: string | undefined;
  readonly commit?: string | undefined;
}

/** What a registration came to, or with `dryRun` would come to. */
export interface Registration {
  readonly registered: readonly RegisteredPrompt[];
  readonly revision: number;
  readonly changed: boolean;
  /** For CI: 0 where nothing would be written, else 1. */
  readonly exitCode: 0 | 1;
  /** For people: what differs from the ledger, as unified diffs. Of a dry run only; empty where nothing differs. */
  readonly diff: string;
}

/** Registers the prompts; of a dry run it also reads what they would replace. */
export function* registerPrompts(prompts: readonly RawCodePrompt[], options: RegisterOptions): Program<Registration> {
  const { dryRun = false, setActive, createdBy = "", repository, commit } = options;
  const request = create(RegisterCodePromptsRequestSchema, {
    prompts: [...prompts],
    dryRun,
    createdBy,
    ...(setActive === undefined ? {} : { setActive }),
    ...(repository === undefined && commit === undefined
      ? {}
      : { source: { repository: repository ?? "", commit: commit ?? "" } }),
  });
  const answer: RegisterCodePromptsResponse = yield* asked(
    call(CodeRegistrationService.method.registerCodePrompts, request, (each) => each),
  );
  const registered = answer.registered.map(registeredPrompt);
  let diff = "";
  for (const [index, outcome] of registered.entries()) {
    const prompt = prompts[index];
    if (!dryRun || outcome.action === "unchanged" || prompt === undefined) {
      continue;
    }
    const version = outcome.previousVersion;
    const before = version === undefined ? undefined : yield* asked(getVersion(prompt.name, { version }));
    diff += difference(prompt, outcome, before);
  }
  const changed = registered.some((each) => each.action !== "unchanged");
  return { registered, revision: Number(answer.revision), changed, exitCode: changed ? 1 : 0, diff };
}

/** A unified diff of the current version and the content in code. */
function difference(prompt: RawCodePrompt, outcome: RegisteredPrompt, before: PromptVersion | undefined): string {
  const old = before === undefined ? "/dev/null" : `${prompt.name} (version ${String(before.number)})`;
  const now = `${prompt.name} (code, ${outcome.action})`;
  return unifiedDiff(before === undefined ? "" : readable(before.raw), readable(prompt), old, now);
}

/** The hash of a text, as `templateHash` has it. */
export function templateHash(template: string): string {
  return createHash("sha256").update(template).digest("hex");
}
