/** The calls of the registry about versions and labels. */

import { create } from "@bufbuild/protobuf";

import { PromptMode as RawMode, PromptModeSchema } from "../gen/promptledger/v1/prompt_pb.js";
import { RemoveLabelRequestSchema, SetLabelRequestSchema } from "../gen/promptledger/v1/registry_labels_pb.js";
import { RegistryService } from "../gen/promptledger/v1/registry_pb.js";
import {
  GetPromptHistoryRequestSchema,
  GetVersionRequestSchema,
  ListVersionsRequestSchema,
  SetActiveVersionRequestSchema,
} from "../gen/promptledger/v1/registry_versions_pb.js";
import { present } from "../records/answers.ts";
import type { PromptMode } from "../records/common.ts";
import { Prompt, PromptVersion } from "../records/prompt.ts";
import { selector } from "../spec.ts";
import { enumOf } from "../values/words.ts";
import { type Call, call, type Pages } from "./call.ts";
import { readFields, type VersionSelector, writeFields, type WriteOptions } from "./prompts.ts";

export function getVersion(name: string, options: VersionSelector): Call<PromptVersion> {
  const request = create(GetVersionRequestSchema, { name, selector: selector(options), ...readFields(options) });
  return call(RegistryService.method.getVersion, request, (answer) => new PromptVersion(present(answer.version)));
}

/** How many items a page has at most; 0: as the server decides. */
export interface PageOptions {
  readonly pageSize?: number | undefined;
}

export function listVersions(name: string, { pageSize = 0 }: PageOptions): Pages<PromptVersion> {
  return (pageToken) =>
    call(
      RegistryService.method.listVersions,
      create(ListVersionsRequestSchema, { name, pageSize, pageToken }),
      (answer) => ({ items: answer.versions.map((each) => new PromptVersion(each)), next: answer.nextPageToken }),
    );
}

export interface HistoryOptions extends PageOptions {
  /** The mode that the prompt must have. */
  readonly mode?: PromptMode | undefined;
}

export function promptHistory(name: string, { mode, pageSize = 0 }: HistoryOptions): Pages<PromptVersion> {
  const expected = mode === undefined ? RawMode.UNSPECIFIED : enumOf(PromptModeSchema, mode, "mode");
  return (pageToken) =>
    call(
      RegistryService.method.getPromptHistory,
      create(GetPromptHistoryRequestSchema, { name, mode: expected, pageSize, pageToken }),
      (answer) => ({ items: answer.versions.map((each) => new PromptVersion(each)), next: answer.nextPageToken }),
    );
}

export function setActiveVersion(name: string, versionNumber: number, options: WriteOptions): Call<Prompt> {
  const request = create(SetActiveVersionRequestSchema, { name, versionNumber, ...writeFields(options) });
  return call(
    RegistryService.method.setActiveVersion,
    request,
    (answer) => new Prompt(present(answer.prompt), answer.activeVersion),
    { freely: options.etag === undefined },
  );
}

export function setLabel(name: string, label: string, versionNumber: number, options: WriteOptions): Call<Prompt> {
  const request = create(SetLabelRequestSchema, { name, label, versionNumber, ...writeFields(options) });
  return call(
    RegistryService.method.setLabel,
    request,
    (answer) => new Prompt(present(answer.prompt), answer.version),
    { freely: options.etag === undefined },
  );
}

export function removeLabel(name: string, label: string, options: WriteOptions): Call<Prompt> {
  const request = create(RemoveLabelRequestSchema, { name, label, ...writeFields(options) });
  // The label that a first one removed is not found by a second one.
  return call(RegistryService.method.removeLabel, request, (answer) => new Prompt(present(answer.prompt)), {
    freely: false,
  });
}
