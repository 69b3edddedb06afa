/** The package as it is published: built, installed where nothing else is, and used there as the README does. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";

import { useLedger } from "../src/testing.ts";
import { findBinary } from "../src/testing/binary.ts";

const ROOT = join(import.meta.dirname, "..");
const MODULES = join(ROOT, "node_modules");
const README = await readFile(join(ROOT, "README.md"), "utf8");
const BLOCKS = [...README.matchAll(/^```ts\n(.*?)^```/gms)].map(([, block = ""]) => block);

const fixture = useLedger();
let folder: string;
let project: string;

/** What a command says; it fails where the command does. */
async function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  const { server } = fixture;
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("npm_"));
  const env = {
    ...Object.fromEntries(inherited),
    // This Node.js, also for what starts by `env node`.
    PATH: [dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter),
    LEDGER_SERVER: server.server,
    LEDGER_API_KEY: server.apiKey,
    PROMPT_LEDGER_BIN: findBinary(),
    NODE_OPTIONS: "",
    // This process is one of a test run's own; what it starts is not.
    NODE_TEST_CONTEXT: "",
  };
  try {
    return (await promisify(execFile)(command, args, { cwd, env })).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${command} ${args.join(" ")} failed:\n${stdout}\n${stderr}`, { cause: error });
  }
}

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

let packed: Packed;

before(async () => {
  await fixture.started;
  folder = await mkdtemp(join(tmpdir(), "package-"));
  const source = join(folder, "source");
  project = join(folder, "project");
  await mkdir(source);
  await mkdir(join(project, "prompts"), { recursive: true });
  for (const name of ["package.json", "README.md", "tsconfig.json", "tsconfig.build.json", "src"]) {
    await cp(join(ROOT, name), join(source, name), { recursive: true });
  }
  await symlink(MODULES, join(source, "node_modules"));
  // It builds by itself, before it packs.
  const said = await run(source, "npm", "pack", "--json", "--loglevel=error", "--pack-destination", folder);
  [packed] = JSON.parse(said.slice(said.lastIndexOf("\n[") + 1)) as [Packed];
  await writeFile(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
  const quiet = ["--no-audit", "--no-fund", "--no-save", "--prefer-offline", "--loglevel=error"];
  await run(project, "npm", "install", ...quiet, join(folder, packed.filename));
  await writeFile(join(project, "prompts", "greeting.hbs"), "Greet {{name}}.");
  for (const [index, block] of BLOCKS.entries()) {
    await writeFile(join(project, `block-${String(index)}.ts`), block);
  }
});

after(() => rm(folder, { recursive: true, force: true }));

test("the package holds what it is made of, and nothing else", async () => {
  const paths = packed.files.map((file) => file.path);
  assert.ok(
    ["dist/index.js", "dist/index.d.ts", "dist/testing.js", "dist/gen/promptledger/v1/spec_pb.d.ts"].every((path) =>
      paths.includes(path),
    ),
  );
  const strange = paths.filter((path) => !/^(dist\/.*\.(js|d\.ts)|package\.json|README\.md)$/.test(path));
  assert.deepEqual(strange, []);
  const installed = (await readdir(join(project, "node_modules"))).filter((name) => !name.startsWith("."));
  assert.deepEqual(installed.sort(), ["@bufbuild", "@connectrpc", "@prompt-ledger", "smol-toml"]);
});

test("the version is that of the package", async () => {
  const script = 'import { VERSION } from "@prompt-ledger/client"; console.log(VERSION)';
  const said = await run(project, process.execPath, "--input-type=module", "-e", script);
  const { version } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as { version: string };
  assert.equal(said.trim(), version);
});

test("the README's blocks have the types that they should, and so do the package's declarations", async () => {
  const options = {
    compilerOptions: {
      target: "es2023",
      // Connect's own declarations need those of browsers.
      lib: ["es2023", "dom"],
      module: "nodenext",
      strict: true,
      noEmit: true,
      noUncheckedIndexedAccess: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      types: ["node"],
      typeRoots: [join(MODULES, "@types")],
    },
    include: ["*.ts"],
  };
  await writeFile(join(project, "tsconfig.json"), JSON.stringify(options));
  await run(project, process.execPath, join(MODULES, "typescript", "bin", "tsc"), "-p", project);
});

suite("each block of the README does what it says", () => {
  for (const [index, block] of BLOCKS.entries()) {
    test(block.split("\n").slice(0, 5).join(" ").slice(0, 80), async () => {
      const said = await run(project, process.execPath, `block-${String(index)}.ts`);
      if (index === 0) {
        assert.equal(said, "Say hello to Ada.\nSay hello to Grace.");
      }
      if (block.includes("node:test")) {
        assert.match(said, /pass 1\n/);
      }
    });
  }
});

test("the command registers a folder", async () => {
  const command = join(project, "node_modules", ".bin", "prompt-ledger-client");
  assert.match(await run(project, command, "register", "prompts"), /^greeting: (new|unchanged), version 1\n$/);
});
