import { type JsonObject, toJson } from "@bufbuild/protobuf";

import { type ChatEntry, entriesOf } from "../values/chat.ts";
import { VersionConfigSchema } from "../gen/promptledger/v1/content_pb.js";
import {
  type Prompt as RawPrompt,
  type PromptVersion as RawPromptVersion,
  PromptModeSchema,
  TemplateFormatSchema,
  VersionStatusSchema,
} from "../gen/promptledger/v1/prompt_pb.js";
import { dateOf, numberOf, type OtherWord, type PromptMode, words } from "./common.ts";

export type VersionStatus = "draft" | "active" | "deprecated" | OtherWord;
export type TemplateFormat = "handlebars" | "opaque" | OtherWord;

const promptModeWord: (value: number) => PromptMode = words(PromptModeSchema);
const versionStatusWord: (value: number) => VersionStatus = words(VersionStatusSchema);
const formatWord: (value: number) => TemplateFormat = words(TemplateFormatSchema);

/** One content of a prompt. It never changes; its status and its labels may. */
export class PromptVersion {
  readonly promptName: string;
  readonly number: number;
  readonly status: VersionStatus;
  /** The text; empty where the content is a chat, which {@link PromptVersion.chat} has. */
  readonly template: string;
  readonly templateFormat: TemplateFormat;
  readonly checksumHash: string;
  /** The names of the variables that the template reads. */
  readonly variables: readonly string[];
  readonly labels: readonly string[];
  readonly note: string;
  readonly createdBy: string;
  readonly createdAt: Date | undefined;
  /** In a history only. */
  readonly executionCount: number | undefined;
  readonly #raw: RawPromptVersion;

  constructor(raw: RawPromptVersion) {
    this.promptName = raw.promptName;
    this.number = raw.versionNumber;
    this.status = versionStatusWord(raw.status);
    this.template = raw.template.case === "templateSource" ? raw.template.value : "";
    this.templateFormat = formatWord(raw.templateFormat);
    this.checksumHash = raw.checksumHash;
    this.variables = raw.variables.map((variable) => variable.name);
    this.labels = raw.labels;
    this.note = raw.note;
    this.createdBy = raw.createdBy;
    this.createdAt = dateOf(raw.createdAt);
    this.executionCount = numberOf(raw.executionCount);
    this.#raw = raw;
  }

  /** The message that it was read from. */
  get raw(): RawPromptVersion {
    return this.#raw;
  }

  /** The entries of a chat, in the form that `prompts.put` takes; empty where the content is a text. */
  get chat(): ChatEntry[] {
    return this.#raw.template.case === "chatTemplate" ? entriesOf(this.#raw.template.value) : [];
  }

  /** What the content was tuned with, in protobuf's JSON form; empty where there is nothing. */
  get config(): JsonObject {
    const { config } = this.#raw;
    return config === undefined ? {} : (toJson(VersionConfigSchema, config) as JsonObject);
  }
}

/** A prompt, with the version that came with it. */
export class Prompt {
  readonly name: string;
  readonly mode: PromptMode;
  readonly description: string;
  readonly ownerTeam: string;
  readonly tags: readonly string[];
  readonly activeVersion: number | undefined;
  readonly latestVersion: number;
  /** The version number that each label points at. */
  readonly labels: Readonly<Record<string, number>>;
  readonly etag: string;
  readonly revision: number;
  readonly archivedAt: Date | undefined;
  readonly createdAt: Date | undefined;
  readonly updatedAt: Date | undefined;
  /** The active version, or the one that was asked for; undefined where there is none, or the call does not tell. */
  readonly version: PromptVersion | undefined;
  readonly #raw: RawPrompt;

  constructor(raw: RawPrompt, version?: RawPromptVersion) {
    this.name = raw.name;
    this.mode = promptModeWord(raw.mode);
    this.description = raw.description;
    this.ownerTeam = raw.ownerTeam;
    this.tags = raw.tags;
    this.activeVersion = raw.activeVersionNumber;
    this.latestVersion = raw.latestVersionNumber;
    this.labels = Object.fromEntries(raw.labels.map((label) => [label.label, label.versionNumber]));
    this.etag = raw.etag;
    this.revision = Number(raw.revision);
    this.archivedAt = dateOf(raw.archivedAt);
    this.createdAt = dateOf(raw.createdAt);
    this.updatedAt = dateOf(raw.updatedAt);
    this.version = version === undefined ? undefined : new PromptVersion(version);
    this.#raw = raw;
  }

  /** The message that it was read from. */
  get raw(): RawPrompt {
    return this.#raw;
  }
}
