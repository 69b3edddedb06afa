/** Prompts that live in application code: a class, a map, a list, or a folder of files. */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { extname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

import { create, isMessage } from "@bufbuild/protobuf";

import { InvalidOptions } from "../errors/index.ts";
import { type CodePrompt as RawCodePrompt, CodePromptSchema } from "../gen/promptledger/v1/code_registration_pb.js";
import { TemplateFormat as RawFormat, TemplateFormatSchema } from "../gen/promptledger/v1/prompt_pb.js";
import type { TemplateFormat } from "../records/prompt.ts";
import { type ChatEntry, chatTemplate } from "../values/chat.ts";
import { type VersionConfig, versionConfig } from "../values/config.ts";
import { invalid } from "../values/json.ts";
import { enumOf } from "../values/words.ts";

/** A prompt in code, but for its name: `template` or `chat` is its content. */
export interface CodePromptContent {
  /** A text. */
  readonly template?: string;
  /** A chat. */
  readonly chat?: readonly ChatEntry[];
  /** `handlebars` where it is absent. An `opaque` text is never parsed, and executed by `messages`. */
  readonly templateFormat?: TemplateFormat;
  /** The content's hash, to be checked by the server. */
  readonly templateHash?: string;
  /** What the content was tuned with; part of it. */
  readonly config?: VersionConfig;
  /** Labels to set to the version with this content. */
  readonly labels?: readonly string[];
  readonly description?: string;
  readonly ownerTeam?: string;
  /** The file that holds the template. */
  readonly path?: string;
  readonly note?: string;
}

/** A prompt in code. */
export interface CodePrompt extends CodePromptContent {
  readonly name: string;
}

/**
 * Where prompts are registered from:
 *
 * - an object or a `Map`, from names to texts or contents,
 * - a class, each static property of which is a text or a content,
 * - a list of prompts,
 * - a folder, as a path or a `file:` URL: `shop/greeting.hbs` is the prompt `shop.greeting`. Files end in `.hbs`, `.md` or `.txt`
 *   (templates), or `.j2` or `.jinja` (opaque texts).
 */
export type CodePromptSource =
  | Readonly<Record<string, string | CodePromptContent>>
  | ReadonlyMap<string, string | CodePromptContent>
  | (abstract new (...args: never[]) => unknown)
  | readonly (CodePrompt | RawCodePrompt)[]
  | string
  | URL;

const FORMATS: Readonly<Record<string, TemplateFormat>> = {
  ".hbs": "handlebars",
  ".md": "handlebars",
  ".txt": "handlebars",
  ".j2": "opaque",
  ".jinja": "opaque",
};

/** The prompts of a source. */
export function readSource(source: CodePromptSource): RawCodePrompt[] {
  if (typeof source === "string" || source instanceof URL) {
    return folder(typeof source === "string" ? source : fileURLToPath(source)).map(rawPrompt);
  }
  if (isList(source)) {
    return source.map((each) => (isMessage(each, CodePromptSchema) ? each : rawPrompt(each)));
  }
  if (typeof source === "function") {
    // A class may have static properties of other kinds.
    const isPrompt = ([, value]: [string, unknown]): boolean => ["string", "object"].includes(typeof value);
    return Object.entries(source).filter(isPrompt).map(toRaw);
  }
  return [...(source instanceof Map ? source.entries() : Object.entries(source))].map(toRaw);
}

function isList(source: CodePromptSource): source is readonly (CodePrompt | RawCodePrompt)[] {
  return Array.isArray(source);
}

function toRaw([name, value]: [string, unknown]): RawCodePrompt {
  return rawPrompt(named(name, value));
}

function named(name: string, value: unknown): CodePrompt {
  if (typeof value === "string") {
    return { name, template: value };
  }
  if (typeof value === "object" && value !== null) {
    return { ...value, name };
  }
  throw new InvalidOptions(`${JSON.stringify(name)} is no prompt: it is neither a text nor an object`);
}

function folder(path: string): CodePrompt[] {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new InvalidOptions(`${path} is no folder of prompts`);
  }
  const files = readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && Object.hasOwn(FORMATS, extname(entry.name)))
    .map((entry) => relative(path, join(entry.parentPath, entry.name)));
  return files.sort().map((file) => {
    const extension = extname(file);
    const parts = file.slice(0, -extension.length).split(sep);
    return {
      name: parts.join("."),
      template: textOf(join(path, file)),
      templateFormat: FORMATS[extension] ?? "handlebars",
      path: file.split(sep).join("/"),
    };
  });
}

/** A file's text, byte for byte: line ends, and a byte order mark, are part of the content. */
function textOf(file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(readFileSync(file));
  } catch (error) {
    if (error instanceof TypeError) {
      throw new InvalidOptions(`${file} is no text in UTF-8`);
    }
    throw error;
  }
}

/** Every field of a prompt in code, so that a misspelled one is noticed. */
const FIELDS: ReadonlySet<string> = new Set<keyof CodePrompt>([
  "name",
  "template",
  "chat",
  "templateFormat",
  "templateHash",
  "config",
  "labels",
  "description",
  "ownerTeam",
  "path",
  "note",
]);

function rawPrompt(prompt: CodePrompt): RawCodePrompt {
  const { name, template, chat, templateFormat, config, description, ownerTeam } = prompt;
  const field = `prompts[${name}]`;
  const unknown = Object.keys(prompt).find((each) => !FIELDS.has(each));
  if (unknown !== undefined) {
    throw invalid(`${field}.${unknown}`, "no field of a prompt in code");
  }
  if ((template === undefined) === (chat === undefined)) {
    throw invalid(field, "give either a template or a chat");
  }
  return create(CodePromptSchema, {
    name,
    template:
      chat === undefined
        ? { case: "templateSource", value: template ?? "" }
        : { case: "chatTemplate", value: chatTemplate(chat, `${field}.chat`) },
    templateFormat:
      templateFormat === undefined
        ? RawFormat.UNSPECIFIED
        : enumOf(TemplateFormatSchema, templateFormat, "templateFormat"),
    templateHash: prompt.templateHash ?? "",
    labels: [...(prompt.labels ?? [])],
    path: prompt.path ?? "",
    note: prompt.note ?? "",
    ...(config === undefined ? {} : { config: versionConfig(config, `${field}.config`) }),
    ...(description === undefined ? {} : { description }),
    ...(ownerTeam === undefined ? {} : { ownerTeam }),
  });
}
