/** What differs between two contents, for people. */

import { toJson } from "@bufbuild/protobuf";

import {
  type ChatTemplate,
  ChatTemplateEntrySchema,
  type VersionConfig,
  VersionConfigSchema,
} from "../gen/promptledger/v1/content_pb.js";

/** Unchanged lines around a change. */
const CONTEXT = 3;
/** The most pairs of lines that are compared; of larger contents all lines count as changed. */
const MOST_PAIRS = 4_000_000;

interface Content {
  readonly template:
    | { readonly case: "templateSource"; readonly value: string }
    | { readonly case: "chatTemplate"; readonly value: ChatTemplate }
    | { readonly case?: undefined };
  readonly config?: VersionConfig | undefined;
}

/** A content as people read it. */
export function readable({ template, config }: Content): string {
  let text = "";
  if (template.case === "templateSource") {
    text = template.value;
  } else if (template.case === "chatTemplate") {
    text = template.value.entries.map((entry) => lines(toJson(ChatTemplateEntrySchema, entry))).join("");
  }
  if (config === undefined) {
    return text;
  }
  const separator = text === "" || text.endsWith("\n") ? "" : "\n";
  return `${text}${separator}config: ${lines(toJson(VersionConfigSchema, config))}`;
}

function lines(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** A line that is only in the old text, only in the new one, or in both. */
interface Line {
  readonly mark: "-" | "+" | " ";
  readonly text: string;
}

/** The differences in the form of `diff -u`; empty where there are none. */
export function unifiedDiff(before: string, after: string, beforeName: string, afterName: string): string {
  const script = compared(split(before), split(after));
  if (script.every((line) => line.mark === " ")) {
    return "";
  }
  let result = `--- ${beforeName}\n+++ ${afterName}\n`;
  for (const [from, to] of hunks(script)) {
    const hunk = script.slice(from, to);
    result += `@@ -${range(script, from, hunk, "+")} +${range(script, from, hunk, "-")} @@\n`;
    result += hunk.map(({ mark, text }) => (text.endsWith("\n") ? mark + text : `${mark}${text}\n${NO_END}`)).join("");
  }
  return result;
}

const NO_END = "\\ No newline at end of file\n";

/** The lines of a text, each with its end. */
function split(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

/** The shortest script from one text to the other, by the longest common subsequence of their lines. */
function compared(before: readonly string[], after: readonly string[]): Line[] {
  const columns = after.length + 1;
  const isTooLarge = (before.length + 1) * columns > MOST_PAIRS;
  // How many lines both have in common from a pair of places on.
  const common = new Uint32Array(isTooLarge ? 0 : (before.length + 1) * columns);
  const at = (row: number, column: number): number => common[row * columns + column] ?? 0;
  if (!isTooLarge) {
    for (let row = before.length - 1; row >= 0; row -= 1) {
      for (let column = after.length - 1; column >= 0; column -= 1) {
        common[row * columns + column] =
          before[row] === after[column]
            ? at(row + 1, column + 1) + 1
            : Math.max(at(row + 1, column), at(row, column + 1));
      }
    }
  }
  const script: Line[] = [];
  let row = 0;
  let column = 0;
  while (row < before.length || column < after.length) {
    const old = before[row];
    const now = after[column];
    if (!isTooLarge && old !== undefined && old === now) {
      script.push({ mark: " ", text: old });
      row += 1;
      column += 1;
    } else if (old !== undefined && (now === undefined || at(row + 1, column) >= at(row, column + 1))) {
      script.push({ mark: "-", text: old });
      row += 1;
    } else {
      script.push({ mark: "+", text: now ?? "" });
      column += 1;
    }
  }
  return script;
}

/** The parts of a script that have changes, with some lines around them, as places from and to. */
function hunks(script: readonly Line[]): [number, number][] {
  const found: [number, number][] = [];
  for (const [index, { mark }] of script.entries()) {
    if (mark === " ") {
      continue;
    }
    const from = Math.max(index - CONTEXT, 0);
    const to = Math.min(index + CONTEXT + 1, script.length);
    const last = found.at(-1);
    if (last !== undefined && from <= last[1]) {
      last[1] = to;
    } else {
      found.push([from, to]);
    }
  }
  return found;
}

/** Where a hunk is in one of the texts: that without the lines that have `other` as their mark. */
function range(script: readonly Line[], from: number, hunk: readonly Line[], other: "-" | "+"): string {
  const start = script.slice(0, from).filter(({ mark }) => mark !== other).length;
  const count = hunk.filter(({ mark }) => mark !== other).length;
  const first = count === 0 ? start : start + 1;
  return count === 1 ? String(first) : `${String(first)},${String(count)}`;
}
