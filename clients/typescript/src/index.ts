/**
 * The client of Prompt Ledger, a control plane for GenAI prompts: prompts in one place, versioned, executed and traced.
 * {@link connect} makes one.
 */

export type { WaitOptions, PromptCacheOptions } from "./cache/prompt-cache.ts";
export { PromptCache } from "./cache/prompt-cache.ts";
export type { ExecutionFilter, TailFilter } from "./calls/executions.ts";
export type {
  BatchOptions,
  ChangesOptions,
  Content,
  PromptFilter,
  PutOptions,
  ReadOptions,
  VersionSelector,
  WriteOptions,
} from "./calls/prompts.ts";
export type { HistoryOptions, PageOptions } from "./calls/versions.ts";
export { connect, PromptLedger } from "./client.ts";
export { type RegisterOptions, type Registration, templateHash } from "./code-prompts/registration.ts";
export type { CodePrompt, CodePromptContent, CodePromptSource } from "./code-prompts/source.ts";
export * from "./errors/index.ts";
export { Handle, type WatchOptions } from "./handle.ts";
export type { RawStubs } from "./io/transport.ts";
export type { Logger } from "./options/logger.ts";
export type { Pem, Profile } from "./options/profile.ts";
export type { ConnectOptions } from "./options/settings.ts";
export { Prompts } from "./prompts.ts";
export type {
  Batch,
  PromptChange,
  PromptChangeKind,
  RegisteredPrompt,
  RegistrationAction,
  Rendered,
  WrittenPrompt,
} from "./records/answers.ts";
export type { ExecutionMode, ExecutionStatus, OtherWord, PromptMode } from "./records/common.ts";
export { Execution, type ToolCall } from "./records/execution.ts";
export { Prompt, PromptVersion, type TemplateFormat, type VersionStatus } from "./records/prompt.ts";
export type { CallOptions, SpecOptions, Variables, VersionChoice } from "./spec.ts";
export type {
  Changed,
  Ended,
  Found,
  Joined,
  Restarted,
  StateChange,
  Synced,
  TailUpdate,
  Text,
  Update,
} from "./updates.ts";
export type { ChatEntry, ChatMessage, ContentPart, Image, Placeholder } from "./values/chat.ts";
export type { Model, ModelParams, ResponseFormat, Tool, ToolChoice, VersionConfig } from "./values/config.ts";
export { VERSION } from "./version.ts";
export { type ResultOptions, Tail, Updates } from "./watching.ts";
