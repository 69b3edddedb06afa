import type { GenEnum } from "@bufbuild/protobuf/codegenv2";

import { invalid } from "./json.ts";

/** The number of an enum's value, by its word: `full` for `PROMPT_MODE_FULL`. */
export function enumOf<Value extends number>(schema: GenEnum<Value>, word: string, field: string): Value {
  const prefix = schema.sharedPrefix?.toUpperCase() ?? "";
  const name = word.toUpperCase();
  const found = schema.values.find((each) => each.name === name || each.name === prefix + name);
  if (found === undefined) {
    const known = schema.values.slice(1).map((each) => each.name.slice(prefix.length).toLowerCase());
    throw invalid(field, `${JSON.stringify(word)} is none of ${known.join(", ")}`);
  }
  return found.number as Value;
}
