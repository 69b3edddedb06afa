/** Prompts that live in code. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { pathToFileURL } from "node:url";

import { create, type JsonValue, toJson } from "@bufbuild/protobuf";

import { unifiedDiff } from "../src/code-prompts/diff.ts";
import { readSource } from "../src/code-prompts/source.ts";
import { type CodePromptSource, InvalidField, InvalidOptions, templateHash } from "../src/index.ts";
import {
  CodePromptSchema,
  CodeRegistrationService,
  GetVersionResponseSchema,
  type GetVersionRequest,
  RegisterCodePromptsResponseSchema,
  RegistrationAction,
  RegistryService,
} from "../src/proto.ts";
import { KEY, Scripted } from "./support/scripted.ts";

class Prompts {
  static readonly WELCOME = "Hello {{name}}";
  static readonly SUPPORT = { chat: [{ role: "user", content: "{{q}}" }], labels: ["production"] };
  static readonly RETRIES = 3;

  static method(): void {
    return;
  }
}

function read(source: CodePromptSource): JsonValue[] {
  return readSource(source).map((prompt) => toJson(CodePromptSchema, prompt));
}

/** A folder with these files, which is removed with the test. */
async function folder(t: TestContext, files: Record<string, string | Buffer>): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "prompts-"));
  t.after(() => rm(made, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(made, name, ".."), { recursive: true });
    await writeFile(join(made, name), content);
  }
  return made;
}

test("a class, a map and a list say the same", () => {
  const { WELCOME, SUPPORT } = Prompts;
  const expected = [
    { name: "WELCOME", templateSource: "Hello {{name}}" },
    {
      name: "SUPPORT",
      chatTemplate: { entries: [{ message: { role: "user", content: "{{q}}" } }] },
      labels: ["production"],
    },
  ];
  assert.deepEqual(read(Prompts), expected);
  assert.deepEqual(read({ WELCOME, SUPPORT }), expected);
  assert.deepEqual(
    read(
      new Map<string, string | typeof SUPPORT>([
        ["WELCOME", WELCOME],
        ["SUPPORT", SUPPORT],
      ]),
    ),
    expected,
  );
  assert.deepEqual(
    read([
      { name: "WELCOME", template: WELCOME },
      { name: "SUPPORT", ...SUPPORT },
    ]),
    expected,
  );
  assert.deepEqual(read([create(CodePromptSchema, { name: "x" })]), [{ name: "x" }]);
});

test("all that a prompt may be told", () => {
  const whole = {
    name: "x",
    template: "",
    templateFormat: "opaque",
    templateHash: "ab",
    config: { model: "echo/echo" },
    description: "",
    ownerTeam: "shop",
    path: "x.ts",
    note: "why",
  };
  assert.deepEqual(read([whole]), [
    {
      name: "x",
      templateSource: "",
      templateFormat: "TEMPLATE_FORMAT_OPAQUE",
      templateHash: "ab",
      config: { model: { provider: "echo", modelName: "echo" } },
      description: "",
      ownerTeam: "shop",
      path: "x.ts",
      note: "why",
    },
  ]);
});

test("a folder has a prompt in each file", async (t) => {
  const path = await folder(t, {
    "shop/greeting.hbs": "\ufeffHi {{name}}\r\n",
    "old.j2": "Hi {{ name }}",
    "notes.rst": "no prompt",
  });
  const expected = [
    { name: "old", templateSource: "Hi {{ name }}", templateFormat: "TEMPLATE_FORMAT_OPAQUE", path: "old.j2" },
    {
      name: "shop.greeting",
      templateSource: "\ufeffHi {{name}}\r\n",
      templateFormat: "TEMPLATE_FORMAT_HANDLEBARS",
      path: "shop/greeting.hbs",
    },
  ];
  assert.deepEqual(read(path), expected);
  assert.deepEqual(read(pathToFileURL(path)), expected);
  assert.throws(() => read(join(path, "old.j2")), InvalidOptions);
  const latin = await folder(t, { "a.txt": Buffer.from([0x68, 0xe4]) });
  assert.throws(() => read(latin), /no text in UTF-8/);
});

test("what is no prompt is named", () => {
  const misspelled = [{ name: "WELCOME", templat: "Hi" }] as unknown as CodePromptSource;
  assert.throws(
    () => read(misspelled),
    (error) => error instanceof InvalidField && "prompts[WELCOME].templat" in error.fields,
  );
  assert.throws(() => read([{ name: "WELCOME" }]), /prompts\[WELCOME\]: give either a template or a chat/);
  assert.throws(() => read({ RETRIES: 3 } as unknown as CodePromptSource), /"RETRIES" is no prompt/);
});

test("the hash is that of the ledger", () => {
  const hash = "49975a538ca4df085fbad972ff3cb847f99b470972f4c85a505004f10d44afa1";
  assert.equal(templateHash("Hello {{name}}, welcome to {{company}}!"), hash);
});

test("diffs are as those of diff -u", () => {
  const lines = (...numbers: (number | string)[]): string => numbers.map((each) => `${String(each)}\n`).join("");
  const before = lines(...Array.from({ length: 20 }, (_, index) => index + 1));
  const after = before.replace("3\n", "three\n").replace("18\n", "").replace("20\n", "20");
  assert.equal(
    unifiedDiff(before, after, "old", "new"),
    `--- old
+++ new
@@ -1,6 +1,6 @@
 1
 2
-3
+three
 4
 5
 6
@@ -15,6 +15,5 @@
 15
 16
 17
-18
 19
-20
+20
\\ No newline at end of file
`,
  );
  assert.equal(unifiedDiff("same\n", "same\n", "old", "new"), "");
  assert.equal(unifiedDiff("", "", "old", "new"), "");
  const large = lines(...Array.from({ length: 3_000 }, (_, index) => index));
  assert.match(
    unifiedDiff(large, `${large}more\n`, "old", "new"),
    /^--- old\n\+\+\+ new\n@@ -1,3000 \+1,3001 @@\n-0\n/,
  );
});

/** A server to which A is new, B is the same, and C has changed. */
async function changed(t: TestContext): Promise<Scripted> {
  const scripted = await Scripted.start(t);
  const { NEW, UNCHANGED, UPDATED } = RegistrationAction;
  const registered = [
    { name: "A", version: 1, action: NEW },
    { name: "B", version: 4, action: UNCHANGED },
    { name: "C", version: 3, previousVersion: 2, changeDetected: true, action: UPDATED, warnings: ["no config"] },
  ];
  scripted.on("RegisterCodePrompts", create(RegisterCodePromptsResponseSchema, { registered }));
  const version = {
    versionNumber: 2,
    template: { case: "templateSource" as const, value: "one\ntwo\n" },
    config: { params: { temperature: 0.5 } },
  };
  scripted.on("GetVersion", create(GetVersionResponseSchema, { version }));
  return scripted;
}

const DIFF = `--- /dev/null
+++ A (code, new)
@@ -0,0 +1 @@
+new
\\ No newline at end of file
--- C (version 2)
+++ C (code, updated)
@@ -1,7 +1,2 @@
 one
-two
-config: {
-  "params": {
-    "temperature": 0.5
-  }
-}
+three
`;

test("a dry run tells people and CI what differs", async (t) => {
  const scripted = await changed(t);
  const source = { A: "new", B: "same", C: "one\nthree\n" };
  const registration = await scripted.connect().registerCodePrompts(source, { dryRun: true });
  assert.equal(registration.diff, DIFF);
  assert.deepEqual([registration.changed, registration.exitCode], [true, 1]);
  assert.ok(scripted.requests(CodeRegistrationService.method.registerCodePrompts)[0]?.dryRun);
  const asked: GetVersionRequest[] = scripted.requests(RegistryService.method.getVersion);
  assert.deepEqual(
    asked.map((request) => [request.name, request.selector.value]),
    [["C", 2]],
  );
});

test("a chat is shown as people read it", async (t) => {
  const scripted = await changed(t);
  const chat = [{ role: "user", content: "Hi" }, { placeholder: "history" }];
  const { diff } = await scripted.connect().registerCodePrompts({ A: { chat } }, { dryRun: true });
  assert.match(diff, /\+\{\n\+ {2}"message": \{\n\+ {4}"role": "user",\n\+ {4}"content": "Hi"\n/);
  assert.match(diff, /\+ {2}"placeholder": "history"\n/);
});

test("the command registers a folder", async (t) => {
  const scripted = await changed(t);
  const path = await folder(t, { "A.hbs": "new", "B.hbs": "same", "C.hbs": "one\nthree\n" });
  const environment = { LEDGER_SERVER: scripted.url, LEDGER_API_KEY: KEY };
  const told = await command(environment, "register", path, "--dry-run");
  const expected = "A: new, version 1\nB: unchanged, version 4\nC: updated, version 3\n  warning: no config\n";
  assert.deepEqual(told, { code: 1, out: expected + DIFF, err: "" });
  const options = ["--no-activate", "--created-by", "ci", "--commit", "4f2a"];
  assert.equal((await command(environment, "register", path, ...options)).code, 0);
  const request = scripted.requests(CodeRegistrationService.method.registerCodePrompts)[1];
  assert.deepEqual([request?.createdBy, request?.setActive, request?.dryRun], ["ci", false, false]);
  for (const [wrong, problem] of [
    [["register", "/nowhere"], /no folder of prompts/],
    [["register", "a", "--dryrun"], /Unknown option '--dryrun'/],
    [["enroll"], /usage:/],
  ] as const) {
    const { code, err } = await command(environment, ...wrong);
    assert.equal(code, 2);
    assert.match(err, problem);
  }
  assert.match((await command(environment, "--help")).out, /usage:/);
});

/** What the command says, and how it ends. */
async function command(
  environment: Record<string, string>,
  ...args: string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const program = join(import.meta.dirname, "..", "src", "cli.ts");
  return await new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [program, ...args],
      { env: { ...process.env, ...environment } },
      (_, out, err) => {
        resolve({ code: child.exitCode ?? -1, out, err });
      },
    );
  });
}
