/** What calls answer, beside executions and prompts. */

import {
  type RegisteredPrompt as RawRegistered,
  RegistrationActionSchema,
} from "../gen/promptledger/v1/code_registration_pb.js";
import { type PromptChangeEntry, PromptChangeKindSchema } from "../gen/promptledger/v1/registry_changes_pb.js";
import type { PutPromptResponse, RenderPromptResponse } from "../gen/promptledger/v1/registry_prompts_pb.js";
import { type ChatMessage, messageOf } from "../values/chat.ts";
import { Internal } from "../errors/index.ts";
import { dateOf, type OtherWord, words } from "./common.ts";
import { Prompt, PromptVersion } from "./prompt.ts";

export type PromptChangeKind =
  | "created"
  | "version_created"
  | "activated"
  | "status"
  | "label_set"
  | "label_removed"
  | "metadata"
  | "archived"
  | "unarchived"
  | "mode_migrated"
  | OtherWord;
export type RegistrationAction = "new" | "updated" | "reactivated" | "unchanged" | OtherWord;

const changeWord: (value: number) => PromptChangeKind = words(PromptChangeKindSchema);
const actionWord: (value: number) => RegistrationAction = words(RegistrationActionSchema);

/** What `prompts.put` did. */
export interface WrittenPrompt {
  readonly prompt: Prompt;
  readonly version: PromptVersion;
  /** Whether the version was created. */
  readonly versionChange: boolean;
  /** Whether the call made it the active one. */
  readonly activated: boolean;
  readonly warnings: readonly string[];
  /** The project's revision now: `minRevision` of a later read, `reached` of a cache. */
  readonly revision: number;
}

export function writtenPrompt(raw: PutPromptResponse): WrittenPrompt {
  const prompt = new Prompt(present(raw.prompt), raw.version);
  return {
    prompt,
    version: present(prompt.version),
    versionChange: raw.versionChange,
    activated: raw.activated,
    warnings: raw.warnings,
    revision: Number(raw.revision),
  };
}

/** What an execution would send: a text, or messages. */
export interface Rendered {
  readonly text: string;
  readonly messages: readonly ChatMessage[];
  /** Whether the text was cut, as an execution's would be. */
  readonly truncated: boolean;
  /** Undefined for a draft. */
  readonly version: PromptVersion | undefined;
}

export function rendered(raw: RenderPromptResponse): Rendered {
  return {
    text: raw.renderedPrompt,
    messages: raw.messages.map(messageOf),
    truncated: raw.promptTruncated,
    version: raw.version === undefined ? undefined : new PromptVersion(raw.version),
  };
}

/** An entry of the change log. */
export interface PromptChange {
  readonly promptName: string;
  readonly kind: PromptChangeKind;
  readonly versionNumber: number | undefined;
  readonly label: string;
  readonly from: string;
  readonly to: string;
  readonly createdBy: string;
  readonly keyName: string;
  readonly note: string;
  readonly revision: number;
  readonly at: Date | undefined;
}

export function promptChange(raw: PromptChangeEntry): PromptChange {
  return {
    promptName: raw.promptName,
    kind: changeWord(raw.kind),
    versionNumber: raw.versionNumber,
    label: raw.label,
    from: raw.fromValue,
    to: raw.toValue,
    createdBy: raw.createdBy,
    keyName: raw.keyName,
    note: raw.note,
    revision: Number(raw.revision),
    at: dateOf(raw.at),
  };
}

/** What `prompts.batchGet` found, in the order asked for. */
export interface Batch {
  readonly found: readonly Prompt[];
  readonly missing: readonly string[];
}

/** What registering one prompt came to, or would come to. */
export interface RegisteredPrompt {
  readonly name: string;
  readonly action: RegistrationAction;
  readonly version: number;
  readonly previousVersion: number | undefined;
  readonly changeDetected: boolean;
  readonly checksumHash: string;
  readonly warnings: readonly string[];
}

export function registeredPrompt(raw: RawRegistered): RegisteredPrompt {
  return {
    name: raw.name,
    action: actionWord(raw.action),
    version: raw.version,
    previousVersion: raw.previousVersion,
    changeDetected: raw.changeDetected,
    checksumHash: raw.checksumHash,
    warnings: raw.warnings,
  };
}

/** A part of an answer that servers always send. */
export function present<T>(part: T | undefined): T {
  if (part === undefined) {
    throw new Internal("the server's answer lacks a part that every answer has");
  }
  return part;
}
