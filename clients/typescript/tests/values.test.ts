import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { create, type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";

import { InvalidField, InvalidOptions } from "../src/index.ts";
import {
  ChatTemplateSchema,
  ExecutionModeSchema,
  ExecutionSpecSchema,
  ModelParamsSchema,
  ModelRefSchema,
  ResponseFormatSchema,
  ToolChoiceSchema,
  ToolSchema,
  VersionConfigSchema,
} from "../src/proto.ts";
import { dateOf, numberOf, words } from "../src/records/common.ts";
import { PromptVersion } from "../src/records/prompt.ts";
import { executionDeadline, executionSpec, type SpecOptions } from "../src/spec.ts";
import { chatTemplate } from "../src/values/chat.ts";
import { modelParams, modelRef, responseFormat, tool, toolChoice, versionConfig } from "../src/values/config.ts";
import { object } from "../src/values/json.ts";
import { duration, milliseconds, timestamp } from "../src/values/time.ts";
import { enumOf } from "../src/values/words.ts";
import { PromptVersionSchema } from "../src/proto.ts";

function specJson(options: SpecOptions, variables?: Record<string, unknown>): unknown {
  return toJson(ExecutionSpecSchema, executionSpec("greet", variables, options));
}

test("variables are values of JSON", () => {
  class Odd {
    a = 1;
  }
  assert.deepEqual(
    object({ a: 1, b: [null, { c: true }], d: undefined, e: 2n ** 53n - 1n, f: Object.create(null) }, "v"),
    {
      a: 1,
      b: [null, { c: true }],
      e: 9_007_199_254_740_991,
      f: {},
    },
  );
  for (const [value, field, problem] of [
    [{ n: NaN }, "v.n", /NaN is no number of JSON/],
    [{ n: Infinity }, "v.n", /Infinity/],
    [{ n: 2n ** 53n }, "v.n", /beyond 2\^53/],
    [{ a: { b: [0, new Date(0)] } }, "v.a.b[1]", /a Date is no value of JSON/],
    [{ a: new Odd() }, "v.a", /a Odd is no value of JSON/],
    [{ a: [undefined] }, "v.a[0]", /undefined is no value of JSON/],
    [{ a: () => 1 }, "v.a", /function is no value of JSON/],
  ] as const) {
    assert.throws(
      () => object(value, "v"),
      (error) => error instanceof InvalidField && field in error.fields && problem.test(error.message),
    );
  }
});

test("every option of an execution is sent", () => {
  const options: SpecOptions = {
    label: "production",
    environment: "prod",
    messages: [{ role: "user", parts: [{ image: { data: new Uint8Array([1, 2]), mediaType: "image/png" } }] }],
    model: "openai/gpt-4o-mini",
    params: { temperature: 0, stop: ["END"], seed: 2n ** 60n, extra: { user: "u" } },
    tools: [{ name: "weather", parameters: { type: "object" } }],
    toolChoice: { name: "weather", parallel: false },
    responseFormat: "json_object",
    without: ["tools"],
    correlationId: "c",
    metadata: { shop: "1" },
    idempotencyKey: "k",
    retryFailed: true,
    timeoutMs: 1_500,
    expireAfterMs: 60_000,
    maxRetries: 2,
    streamText: false,
    minRevision: 7,
  };
  assert.deepEqual(specJson(options, { name: "Ada" }), {
    promptName: "greet",
    label: "production",
    environment: "prod",
    variables: { name: "Ada" },
    messages: [{ role: "user", parts: [{ image: { data: "AQI=", mediaType: "image/png" } }] }],
    model: { provider: "openai", modelName: "gpt-4o-mini" },
    params: { temperature: 0, stop: { values: ["END"] }, seed: String(2n ** 60n), extra: { user: "u" } },
    tools: [{ name: "weather", parametersJson: '{"type":"object"}' }],
    toolChoice: { name: "weather", parallel: false },
    responseFormat: { jsonObject: {} },
    without: ["tools"],
    correlationId: "c",
    metadata: { shop: "1" },
    idempotencyKey: "k",
    retryFailed: true,
    timeout: "1.500s",
    expireAfter: "60s",
    maxRetries: 2,
    streamText: false,
    minRevision: "7",
  });
  assert.deepEqual(specJson({}), { promptName: "greet" });
  assert.deepEqual(specJson({ version: 3 }), { promptName: "greet", versionNumber: 3 });
  assert.deepEqual(specJson({ checksumHash: "ab" }), { promptName: "greet", checksumHash: "ab" });
  assert.throws(() => specJson({ version: 3, checksumHash: "ab" }), InvalidOptions);
});

test("the deadline of what executes has its attempts and the delays between them", () => {
  for (const [timeoutMs, maxRetries, expected] of [
    [undefined, undefined, 130_000],
    [2_000, 0, 12_000],
    [2_000, 1, 4_000 + 5_000 + 10_000],
    [1_000, 4, 5_000 + 5_000 + 30_000 + 240_000 + 10_000],
    [1_000, -1, 11_000],
    [-60_000, 0, 130_000],
    [0, 1, 2 * 120_000 + 5_000 + 10_000],
    [undefined, 2 ** 31 - 1, 1_001 * 120_000 + 35_000 + 998 * 120_000 + 10_000],
  ] as const) {
    assert.equal(executionDeadline(executionSpec("greet", {}, { timeoutMs, maxRetries })), expected);
  }
});

/** A value, and what is sent of it. */
function sends<Desc extends DescMessage>(schema: Desc, made: () => MessageShape<Desc>, expected: unknown): void {
  assert.deepEqual(toJson(schema, made()), expected);
}

suite("what a model is asked with", () => {
  test("models", () => {
    sends(ModelRefSchema, () => modelRef("a/b/c"), { provider: "a", modelName: "b/c" });
    sends(ModelRefSchema, () => modelRef({ provider: "a", modelName: "b" }), { provider: "a", modelName: "b" });
    assert.throws(() => modelRef("gpt"), /"gpt" is no PROVIDER\/MODEL/);
  });
  test("parameters", () => {
    const raw = create(ModelParamsSchema, { topK: 3 });
    assert.equal(modelParams(raw), raw);
    const wrong = { temprature: 1 } as Record<string, number>;
    assert.throws(() => modelParams(wrong), /params: .*temprature/);
    assert.throws(() => modelParams({ extra: { n: NaN } }), /params.extra.n/);
  });
  test("tools", () => {
    sends(ToolSchema, () => tool({ name: "t", parametersJson: "{}" }, "tools[0]"), { name: "t", parametersJson: "{}" });
    assert.throws(() => tool({ name: "t", strikt: true } as { name: string }, "tools[0]"), InvalidField);
  });
  test("choices of tools", () => {
    sends(ToolChoiceSchema, () => toolChoice("required"), { mode: "TOOL_CHOICE_MODE_REQUIRED" });
    sends(ToolChoiceSchema, () => toolChoice({ mode: "auto", parallel: true }), {
      mode: "TOOL_CHOICE_MODE_AUTO",
      parallel: true,
    });
    const raw = create(ToolChoiceSchema);
    assert.equal(toolChoice(raw), raw);
  });
  test("forms of answers", () => {
    const jsonSchema = { name: "s", schema: { type: "object" }, strict: true };
    sends(ResponseFormatSchema, () => responseFormat({ jsonSchema }), {
      jsonSchema: { name: "s", schemaJson: '{"type":"object"}', strict: true },
    });
    const raw = create(ResponseFormatSchema);
    assert.equal(responseFormat(raw), raw);
    assert.throws(() => responseFormat("xml" as "json_object"), /neither json_object nor an object/);
  });
  test("whole configs", () => {
    const config = versionConfig({
      model: "a/b",
      params: { topP: 0.5 },
      tools: [{ name: "t" }],
      toolChoice: "none",
      responseFormat: "json_object",
      custom: { mine: [1] },
    });
    const expected = {
      model: { provider: "a", modelName: "b" },
      params: { topP: 0.5 },
      tools: [{ name: "t" }],
      toolChoice: { mode: "TOOL_CHOICE_MODE_NONE" },
      responseFormat: { jsonObject: {} },
      custom: { mine: [1] },
    };
    sends(VersionConfigSchema, () => config, expected);
    assert.equal(versionConfig(config), config);
    assert.throws(() => versionConfig({ modle: "a/b" } as object), /config.modle: no field of a config/);
    assert.deepEqual(new PromptVersion(create(PromptVersionSchema, { config })).config, expected);
  });
});

test("a chat comes back as it was given", () => {
  const chat = [
    { role: "system", content: "Be brief." },
    { placeholder: "history" },
    { role: "tool", content: "sunny", toolCallId: "1" },
  ];
  const template = chatTemplate(chat, "chat");
  const raw = create(PromptVersionSchema, { template: { case: "chatTemplate", value: template } });
  raw.template = { case: "chatTemplate", value: create(ChatTemplateSchema, { entries: [...template.entries, {}] }) };
  assert.deepEqual(new PromptVersion(raw).chat, chat, "what is not known is passed over");
  assert.deepEqual(new PromptVersion(create(PromptVersionSchema)).chat, []);
  assert.deepEqual(new PromptVersion(create(PromptVersionSchema)).config, {});
  assert.throws(() => chatTemplate([{ rolle: "user" } as unknown as { role: string }], "chat"), /chat\[0\]/);
});

test("words of enums, also of those that a newer server has", () => {
  const word = words(ExecutionModeSchema);
  assert.deepEqual([word(0), word(2), word(99)], ["", "async", "99"]);
  assert.equal(enumOf(ExecutionModeSchema, "async", "mode"), 2);
  assert.equal(enumOf(ExecutionModeSchema, "EXECUTION_MODE_SYNC", "mode"), 1);
  assert.throws(() => enumOf(ExecutionModeSchema, "fast", "mode"), /mode: "fast" is none of sync, async/);
});

test("times", () => {
  assert.deepEqual(duration(1_500.25, "t"), duration(1_500.25, "t"));
  assert.equal(milliseconds(duration(1_500.25, "t")), 1_500.25);
  assert.throws(() => duration(NaN, "timeout"), /timeout: NaN is no number of milliseconds/);
  const date = new Date("2026-01-02T03:04:05.678Z");
  assert.deepEqual(dateOf(timestamp(date, "since")), date);
  assert.throws(() => timestamp(new Date("no"), "since"), /since: it is no time/);
  assert.deepEqual([dateOf(undefined), numberOf(undefined), numberOf(7n)], [undefined, undefined, 7]);
});
