/** What a model is asked with: the model, its parameters, tools, and the form of its answer. */

import { create, isMessage } from "@bufbuild/protobuf";

import {
  type ResponseFormat as RawResponseFormat,
  ResponseFormatSchema,
  type Tool as RawTool,
  type ToolChoice as RawToolChoice,
  ToolChoiceSchema,
  ToolSchema,
} from "../gen/promptledger/v1/chat_pb.js";
import { type VersionConfig as RawVersionConfig, VersionConfigSchema } from "../gen/promptledger/v1/content_pb.js";
import {
  type ModelParams as RawModelParams,
  ModelParamsSchema,
  type ModelRef as RawModelRef,
  ModelRefSchema,
} from "../gen/promptledger/v1/spec_pb.js";
import { invalid, message, object } from "./json.ts";

/** A model: `provider/model_name`, or both apart. */
export type Model = string | { readonly provider: string; readonly modelName: string };

/** Parameters of a model. What is absent is not sent. */
export interface ModelParams {
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly repetitionPenalty?: number;
  readonly maxNewTokens?: number;
  /** Stop sequences. */
  readonly stop?: readonly string[];
  readonly seed?: number | bigint;
  readonly frequencyPenalty?: number;
  readonly presencePenalty?: number;
  readonly reasoningEffort?: string;
  /** Fields of the provider's own request. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** A function that the model may ask to have called. */
export interface Tool {
  readonly name: string;
  readonly description?: string;
  /** The JSON Schema of the arguments. */
  readonly parameters?: object;
  /** The same as a text, instead. */
  readonly parametersJson?: string;
  readonly strict?: boolean;
}

/** `auto`, `none` or `required`, or a whole choice. */
export type ToolChoice =
  | "auto"
  | "none"
  | "required"
  | { readonly mode?: "auto" | "none" | "required"; readonly name?: string; readonly parallel?: boolean };

/** JSON of any form, or of a schema. */
export type ResponseFormat =
  | "json_object"
  | {
      readonly jsonSchema: {
        readonly name: string;
        /** The JSON Schema. */
        readonly schema?: object;
        /** The same as a text, instead. */
        readonly schemaJson?: string;
        readonly strict?: boolean;
      };
    };

/** What a content was tuned with; part of it. */
export interface VersionConfig {
  readonly model?: Model;
  readonly params?: ModelParams;
  readonly tools?: readonly Tool[];
  readonly toolChoice?: ToolChoice;
  readonly responseFormat?: ResponseFormat;
  /** Yours: stored and returned, never sent. */
  readonly custom?: Readonly<Record<string, unknown>>;
}

export function modelRef(value: Model | RawModelRef, field = "model"): RawModelRef {
  if (typeof value !== "string") {
    return message(ModelRefSchema, value, field);
  }
  const slash = value.indexOf("/");
  if (slash < 0) {
    throw invalid(field, `${JSON.stringify(value)} is no PROVIDER/MODEL, such as openai/gpt-4o-mini`);
  }
  return create(ModelRefSchema, { provider: value.slice(0, slash), modelName: value.slice(slash + 1) });
}

export function modelParams(value: ModelParams | RawModelParams, field = "params"): RawModelParams {
  if (isMessage(value, ModelParamsSchema)) {
    return value;
  }
  const { stop, extra, ...plain } = value;
  return message(
    ModelParamsSchema,
    {
      ...plain,
      ...(stop === undefined ? {} : { stop: Array.isArray(stop) ? { values: stop } : stop }),
      ...(extra === undefined ? {} : { extra: object(extra, `${field}.extra`) }),
    },
    field,
  );
}

export function tool(value: Tool | RawTool, field: string): RawTool {
  return message(ToolSchema, isMessage(value) ? value : asText(value, "parameters", "parametersJson"), field);
}

export function toolChoice(value: ToolChoice | RawToolChoice, field = "toolChoice"): RawToolChoice {
  if (isMessage(value, ToolChoiceSchema)) {
    return value;
  }
  const { mode, ...others } = typeof value === "string" ? { mode: value } : value;
  const whole = mode === undefined ? others : { ...others, mode: `TOOL_CHOICE_MODE_${mode.toUpperCase()}` };
  return message(ToolChoiceSchema, whole, field);
}

export function responseFormat(value: ResponseFormat | RawResponseFormat, field = "responseFormat"): RawResponseFormat {
  if (value === "json_object") {
    return message(ResponseFormatSchema, { jsonObject: {} }, field);
  }
  if (isMessage(value, ResponseFormatSchema)) {
    return value;
  }
  if (typeof value !== "object") {
    throw invalid(field, `${JSON.stringify(value)} is neither json_object nor an object`);
  }
  const { jsonSchema, ...others } = value;
  return message(ResponseFormatSchema, { ...others, jsonSchema: asText(jsonSchema, "schema", "schemaJson") }, field);
}

export function versionConfig(value: VersionConfig | RawVersionConfig, field = "config"): RawVersionConfig {
  if (isMessage(value, VersionConfigSchema)) {
    return value;
  }
  const { model, params, tools, toolChoice: choice, responseFormat: format, custom, ...others } = value;
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined) {
    throw invalid(`${field}.${unknown}`, "no field of a config");
  }
  return create(VersionConfigSchema, {
    ...(model === undefined ? {} : { model: modelRef(model, `${field}.model`) }),
    ...(params === undefined ? {} : { params: modelParams(params, `${field}.params`) }),
    tools: (tools ?? []).map((each, index) => tool(each, `${field}.tools[${String(index)}]`)),
    ...(choice === undefined ? {} : { toolChoice: toolChoice(choice, `${field}.toolChoice`) }),
    ...(format === undefined ? {} : { responseFormat: responseFormat(format, `${field}.responseFormat`) }),
    ...(custom === undefined ? {} : { custom: object(custom, `${field}.custom`) }),
  });
}

/** The fields of a message with a JSON value turned into the text of another field, in the order written. */
function asText(value: object, name: string, textName: string): object {
  const { [name]: part, ...others } = value as Record<string, unknown>;
  return part === undefined ? value : { ...others, [textName]: JSON.stringify(part) };
}
