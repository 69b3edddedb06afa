/** The calls of the registry about prompts as wholes. */

import { create } from "@bufbuild/protobuf";

import { Internal } from "../errors/index.ts";
import { ListPromptChangesRequestSchema, PromptChangeKindSchema } from "../gen/promptledger/v1/registry_changes_pb.js";
import { PromptMode as RawMode, PromptModeSchema } from "../gen/promptledger/v1/prompt_pb.js";
import { RegistryService } from "../gen/promptledger/v1/registry_pb.js";
import {
  ArchivePromptRequestSchema,
  BatchGetPromptsRequestSchema,
  type BatchGetPromptsResponse,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  PromptDraftSchema,
  PutPromptRequestSchema,
  type RenderPromptRequest,
  RenderPromptRequestSchema,
  UnarchivePromptRequestSchema,
} from "../gen/promptledger/v1/registry_prompts_pb.js";
import {
  type Batch,
  present,
  type PromptChange,
  promptChange,
  type PromptChangeKind,
  type Rendered,
  rendered,
  type WrittenPrompt,
  writtenPrompt,
} from "../records/answers.ts";
import type { PromptMode } from "../records/common.ts";
import { Prompt } from "../records/prompt.ts";
import { selector, type Variables, type VersionChoice } from "../spec.ts";
import { type ChatEntry, chatTemplate } from "../values/chat.ts";
import { type VersionConfig, versionConfig } from "../values/config.ts";
import { object } from "../values/json.ts";
import { enumOf } from "../values/words.ts";
import { asked, type Call, call, type Pages, type Program } from "./call.ts";

/** Names of one BatchGetPrompts. */
const BATCH = 100;

/** A content: a text, or a chat. */
export type Content = string | readonly ChatEntry[];

/** What to write beside a content. What is absent is kept, what is empty is cleared. */
export interface PutOptions {
  /** What the content was tuned with; part of it. */
  readonly config?: VersionConfig | undefined;
  /** Whether to make the version with this content the active one. */
  readonly setActive?: boolean | undefined;
  /** Labels to set to it. */
  readonly labels?: readonly string[] | undefined;
  readonly description?: string | undefined;
  readonly ownerTeam?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly createdBy?: string | undefined;
  readonly note?: string | undefined;
  /** Whether the prompt must not exist yet. */
  readonly createOnly?: boolean | undefined;
  /** The etag that the prompt must have. */
  readonly etag?: string | undefined;
}

/** What a write of a prompt may be told. */
export interface WriteOptions {
  /** The etag that the prompt must have. */
  readonly etag?: string | undefined;
  /** Who writes; stored in the change log. */
  readonly createdBy?: string | undefined;
}

/** What is read at least as it was at a revision, as a write told it. */
export interface ReadOptions {
  readonly minRevision?: number | undefined;
}

/** Which version; the active one where nothing is given. */
export interface VersionSelector extends VersionChoice, ReadOptions {}

/** The fields of a content, for each message that has one. */
export function contentFields(
  content: Content,
  field: string,
): Pick<ReturnType<typeof create<typeof PutPromptRequestSchema>>, "template"> {
  return typeof content === "string"
    ? { template: { case: "templateSource", value: content } }
    : { template: { case: "chatTemplate", value: chatTemplate(content, field) } };
}

/** The fields of what may be told of any write. */
export function writeFields({ etag, createdBy }: WriteOptions): { createdBy: string; etag?: string } {
  return { createdBy: createdBy ?? "", ...(etag === undefined ? {} : { etag }) };
}

export function readFields({ minRevision }: ReadOptions): { minRevision?: bigint } {
  return minRevision === undefined ? {} : { minRevision: BigInt(minRevision) };
}

export function putPrompt(name: string, content: Content | undefined, options: PutOptions): Call<WrittenPrompt> {
  const { config, description, ownerTeam, tags, createOnly = false, etag } = options;
  const request = create(PutPromptRequestSchema, {
    name,
    ...(content === undefined ? {} : contentFields(content, "chat")),
    ...writeFields(options),
    ...(config === undefined ? {} : { config: versionConfig(config) }),
    ...(description === undefined ? {} : { description }),
    ...(ownerTeam === undefined ? {} : { ownerTeam }),
    ...(tags === undefined ? {} : { tags: { values: [...tags] } }),
    setActive: options.setActive ?? false,
    labels: [...(options.labels ?? [])],
    note: options.note ?? "",
    createOnly,
  });
  // A repeat after a lost answer would meet what the first one wrote.
  const freely = !createOnly && etag === undefined;
  return call(RegistryService.method.putPrompt, request, writtenPrompt, { freely });
}

export function getPrompt(name: string, options: ReadOptions): Call<Prompt> {
  const request = create(GetPromptRequestSchema, { name, ...readFields(options) });
  return call(
    RegistryService.method.getPrompt,
    request,
    (answer) => new Prompt(present(answer.prompt), answer.activeVersion),
  );
}

/** Which prompts to list; filters are joined by "and". */
export interface PromptFilter {
  readonly mode?: PromptMode | undefined;
  readonly ownerTeam?: string | undefined;
  readonly namePrefix?: string | undefined;
  readonly tag?: string | undefined;
  readonly label?: string | undefined;
  /** Words that the name or the description holds. */
  readonly query?: string | undefined;
  readonly includeArchived?: boolean | undefined;
  readonly pageSize?: number | undefined;
}

export function listPrompts(filter: PromptFilter): Pages<Prompt> {
  const { mode } = filter;
  const fields = {
    mode: mode === undefined ? RawMode.UNSPECIFIED : enumOf(PromptModeSchema, mode, "mode"),
    ownerTeam: filter.ownerTeam ?? "",
    namePrefix: filter.namePrefix ?? "",
    tag: filter.tag ?? "",
    label: filter.label ?? "",
    query: filter.query ?? "",
    includeArchived: filter.includeArchived ?? false,
    pageSize: filter.pageSize ?? 0,
  };
  return (pageToken) =>
    call(RegistryService.method.listPrompts, create(ListPromptsRequestSchema, { ...fields, pageToken }), (answer) => {
      const active = new Map(answer.activeVersions.map((version) => [version.promptId, version]));
      const items = answer.prompts.map((each) => new Prompt(each, active.get(each.promptId)));
      return { items, next: answer.nextPageToken };
    });
}

export function archivePrompt(name: string, options: WriteOptions): Call<Prompt> {
  const request = create(ArchivePromptRequestSchema, { name, ...writeFields(options) });
  return call(RegistryService.method.archivePrompt, request, (answer) => new Prompt(present(answer.prompt)), {
    freely: options.etag === undefined,
  });
}

export function unarchivePrompt(name: string, options: WriteOptions): Call<Prompt> {
  const request = create(UnarchivePromptRequestSchema, { name, ...writeFields(options) });
  return call(RegistryService.method.unarchivePrompt, request, (answer) => new Prompt(present(answer.prompt)), {
    freely: options.etag === undefined,
  });
}

export function renderPrompt(name: string, variables: Variables | undefined, options: VersionSelector): Call<Rendered> {
  const request = create(RenderPromptRequestSchema, { name, selector: selector(options), ...readFields(options) });
  return call(RegistryService.method.renderPrompt, withVariables(request, variables), rendered);
}

export function renderDraft(
  content: Content,
  variables: Variables | undefined,
  config: VersionConfig | undefined,
): Call<Rendered> {
  const draft = create(PromptDraftSchema, {
    ...contentFields(content, "draft"),
    ...(config === undefined ? {} : { config: versionConfig(config) }),
  });
  const request = create(RenderPromptRequestSchema, { selector: { case: "draft", value: draft } });
  return call(RegistryService.method.renderPrompt, withVariables(request, variables), rendered);
}

function withVariables(request: RenderPromptRequest, variables: Variables | undefined): RenderPromptRequest {
  if (variables !== undefined) {
    request.variables = object(variables, "variables");
  }
  return request;
}

/** Which entries of the change log to list. */
export interface ChangesOptions {
  readonly kinds?: readonly PromptChangeKind[] | undefined;
  readonly pageSize?: number | undefined;
}

export function listChanges(name: string, { kinds = [], pageSize = 0 }: ChangesOptions): Pages<PromptChange> {
  const fields = {
    name,
    kinds: kinds.map((kind) => enumOf(PromptChangeKindSchema, kind, "kinds")),
    pageSize,
  };
  return (pageToken) =>
    call(
      RegistryService.method.listPromptChanges,
      create(ListPromptChangesRequestSchema, { ...fields, pageToken }),
      (answer) => ({
        items: answer.changes.map(promptChange),
        next: answer.nextPageToken,
      }),
    );
}

/** Which version of each prompt, read how. */
export interface BatchOptions extends ReadOptions {
  /** The version that this label points at, instead of the active one. */
  readonly label?: string | undefined;
}

/** Any number of prompts, in as many calls as it takes. */
export function* batchGet(names: readonly string[], options: BatchOptions): Program<Batch> {
  const found: Prompt[] = [];
  const missing: string[] = [];
  let left = [...names];
  while (left.length > 0) {
    const request = create(BatchGetPromptsRequestSchema, {
      names: left.slice(0, BATCH),
      label: options.label ?? "",
      ...readFields(options),
    });
    left = left.slice(BATCH);
    const answer: BatchGetPromptsResponse = yield* asked(
      call(RegistryService.method.batchGetPrompts, request, (each) => each),
    );
    found.push(...answer.found.map((each) => new Prompt(present(each.prompt), each.version)));
    missing.push(...answer.missing);
    if (answer.leftOut.length >= request.names.length) {
      throw new Internal("the server leaves out all the prompts that it is asked for");
    }
    // The answer was full.
    left = [...answer.leftOut, ...left];
  }
  return { found, missing };
}
