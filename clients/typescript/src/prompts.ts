/** The registry's calls. */

import * as calls from "./calls/prompts.ts";
import * as versionCalls from "./calls/versions.ts";
import type { Transport } from "./io/transport.ts";
import type { Batch, PromptChange, Rendered, WrittenPrompt } from "./records/answers.ts";
import type { Prompt, PromptVersion } from "./records/prompt.ts";
import type { CallOptions, Variables } from "./spec.ts";
import type { VersionConfig } from "./values/config.ts";

/** Prompts of the registry: writes full-mode ones, and reads those of both modes. */
export class Prompts {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Creates a prompt, or writes a content and metadata of one that exists. A content that it has makes no new version. The
   * content is a text, or a chat: messages, and `{ placeholder: NAME }`.
   */
  put(name: string, content?: calls.Content, options: calls.PutOptions & CallOptions = {}): Promise<WrittenPrompt> {
    return this.#transport.call(calls.putPrompt(name, content, options), options);
  }

  /** A prompt with its active version. */
  get(name: string, options: calls.ReadOptions & CallOptions = {}): Promise<Prompt> {
    return this.#transport.call(calls.getPrompt(name, options), options);
  }

  /** Prompts with their active versions, by name. */
  list(filter: calls.PromptFilter & CallOptions = {}): AsyncIterableIterator<Prompt> {
    return this.#transport.pages(calls.listPrompts(filter), filter);
  }

  /** One version; the active one where none is selected. */
  version(name: string, options: calls.VersionSelector & CallOptions = {}): Promise<PromptVersion> {
    return this.#transport.call(versionCalls.getVersion(name, options), options);
  }

  /** All versions, the newest first. */
  versions(name: string, options: versionCalls.PageOptions & CallOptions = {}): AsyncIterableIterator<PromptVersion> {
    return this.#transport.pages(versionCalls.listVersions(name, options), options);
  }

  /** All versions with their `executionCount`, the newest first. */
  history(name: string, options: versionCalls.HistoryOptions & CallOptions = {}): AsyncIterableIterator<PromptVersion> {
    return this.#transport.pages(versionCalls.promptHistory(name, options), options);
  }

  /** Makes a version the active one: promotes it, or rolls back to it. */
  activate(name: string, version: number, options: calls.WriteOptions & CallOptions = {}): Promise<Prompt> {
    return this.#transport.call(versionCalls.setActiveVersion(name, version, options), options);
  }

  /** Sets a label to a version; the answer's `version` is that one. */
  label(name: string, label: string, version: number, options: calls.WriteOptions & CallOptions = {}): Promise<Prompt> {
    return this.#transport.call(versionCalls.setLabel(name, label, version, options), options);
  }

  /** Removes a label. */
  unlabel(name: string, label: string, options: calls.WriteOptions & CallOptions = {}): Promise<Prompt> {
    return this.#transport.call(versionCalls.removeLabel(name, label, options), options);
  }

  /** Exactly what an execution would send; records nothing. */
  render(name: string, variables?: Variables, options: calls.VersionSelector & CallOptions = {}): Promise<Rendered> {
    return this.#transport.call(calls.renderPrompt(name, variables, options), options);
  }

  /** The same of a content that is not stored. */
  renderDraft(
    content: calls.Content,
    variables?: Variables,
    options: { readonly config?: VersionConfig | undefined } & CallOptions = {},
  ): Promise<Rendered> {
    return this.#transport.call(calls.renderDraft(content, variables, options.config), options);
  }

  /** Takes a prompt out of lists and makes it not executable; its name stays taken. */
  archive(name: string, options: calls.WriteOptions & CallOptions = {}): Promise<Prompt> {
    return this.#transport.call(calls.archivePrompt(name, options), options);
  }

  unarchive(name: string, options: calls.WriteOptions & CallOptions = {}): Promise<Prompt> {
    return this.#transport.call(calls.unarchivePrompt(name, options), options);
  }

  /** What was changed of a prompt, or, with an empty name, of all prompts of the project, the newest first. */
  changes(name = "", options: calls.ChangesOptions & CallOptions = {}): AsyncIterableIterator<PromptChange> {
    return this.#transport.pages(calls.listChanges(name, options), options);
  }

  /** Several prompts, each with its active version or with the one that `label` points at. */
  batchGet(names: readonly string[], options: calls.BatchOptions & CallOptions = {}): Promise<Batch> {
    return this.#transport.program(calls.batchGet(names, options), options);
  }
}
