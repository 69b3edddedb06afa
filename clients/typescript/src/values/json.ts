/** Plain values to messages of the contract. */

import {
  type DescMessage,
  fromJson,
  isMessage,
  type JsonObject,
  type JsonValue,
  type MessageShape,
} from "@bufbuild/protobuf";

import { InvalidField } from "../errors/index.ts";

/** The error that a server would give, for what cannot be sent to one. */
export function invalid(field: string, problem: string): InvalidField {
  return new InvalidField(`${field}: ${problem}`, { reason: "INVALID_FIELD", fields: { [field]: problem } });
}

/** An object of JSON; what is undefined is left out. */
export function object(value: Readonly<Record<string, unknown>>, field: string): JsonObject {
  const result: JsonObject = {};
  for (const [name, each] of Object.entries(value)) {
    if (each !== undefined) {
      result[name] = json(each, `${field}.${name}`);
    }
  }
  return result;
}

function json(value: unknown, field: string): JsonValue {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      if (!Number.isFinite(value)) {
        throw invalid(field, `${String(value)} is no number of JSON: send a string`);
      }
      return value;
    case "bigint":
      if (!Number.isSafeInteger(Number(value))) {
        throw invalid(field, `${String(value)} is beyond 2^53 and would not be sent exactly: send a string`);
      }
      return Number(value);
    case "object":
      if (value === null) {
        return null;
      }
      if (Array.isArray(value)) {
        return value.map((each, index) => json(each, `${field}[${String(index)}]`));
      }
      if (isPlain(value)) {
        return object(value, field);
      }
      throw invalid(field, `a ${value.constructor.name} is no value of JSON`);
    default:
      throw invalid(field, `${typeof value} is no value of JSON`);
  }
}

function isPlain(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
}

/**
 * A message from itself, or from an object with the names of its fields; both `toolCalls` and `tool_calls` are known. A
 * `Uint8Array` stands for bytes.
 */
export function message<Desc extends DescMessage>(schema: Desc, value: object, field: string): MessageShape<Desc> {
  if (isMessage(value, schema)) {
    return value;
  }
  try {
    return fromJson(schema, encoded(value));
  } catch (error) {
    throw invalid(field, error instanceof Error ? error.message : String(error));
  }
}

/** A value in protobuf's JSON form. */
function encoded(value: unknown): JsonValue {
  if (value instanceof Uint8Array) {
    return Buffer.from(value).toString("base64");
  }
  if (typeof value === "bigint") {
    return value.toString();
  }
  if (Array.isArray(value)) {
    return value.map(encoded);
  }
  if (typeof value === "object" && value !== null) {
    const fields = Object.entries(value).filter(([, each]) => each !== undefined);
    return Object.fromEntries(fields.map(([name, each]) => [name, encoded(each)]));
  }
  return value as JsonValue;
}
