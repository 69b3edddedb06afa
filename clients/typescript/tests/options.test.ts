/** Where a client connects to, and as whom. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { inspect } from "node:util";

import { connect, InvalidOptions } from "../src/index.ts";
import { DEVELOPMENT_KEY, findProfile, type Profile } from "../src/options/profile.ts";
import { settingsOf } from "../src/options/settings.ts";
import { isLoopback, Target } from "../src/options/target.ts";
import { selfSigned } from "./support/certificate.ts";

const KEY = "pl_very-secret";
const NOWHERE = { HOME: "/nowhere" };

async function folder(t: TestContext): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "options-"));
  t.after(() => rm(made, { recursive: true, force: true }));
  return made;
}

/** A file of profiles that only its owner may read. */
async function profiles(t: TestContext, content: string, mode = 0o600): Promise<string> {
  const file = join(await folder(t), "config.toml");
  await writeFile(file, content);
  await chmod(file, mode);
  return file;
}

/** Without what is not given. */
function given(profile: Profile): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(profile).filter(([name, value]) => name !== "source" && value !== undefined),
  );
}

test("a profile is taken whole, from the first that names a server", async (t) => {
  const file = await profiles(
    t,
    `[profiles.default]\nserver = "http://file"\n[profiles.work]\nserver = "https://work"\napi_key = "k"\ntls_ca = "/ca"\n`,
  );
  const environment = { LEDGER_CONFIG: file, LEDGER_SERVER: "http://env", LEDGER_API_KEY: "e", LEDGER_PROJECT: "" };
  const find = (options: Partial<Profile>, profile: string | undefined, from: Record<string, string>): object =>
    given(findProfile(options, profile, from));
  assert.deepEqual(find({ server: "http://here" }, undefined, environment), { server: "http://here" });
  assert.deepEqual(find({}, undefined, environment), { server: "http://env", apiKey: "e" });
  assert.deepEqual(find({}, "work", environment), { server: "https://work", apiKey: "k", tlsCa: "/ca" });
  assert.deepEqual(find({}, undefined, { LEDGER_CONFIG: file }), { server: "http://file" });
  assert.deepEqual(find({}, undefined, { LEDGER_CONFIG: file, LEDGER_PROFILE: "work", LEDGER_SERVER: "" }), {
    server: "https://work",
    apiKey: "k",
    tlsCa: "/ca",
  });
  const development = { server: "http://127.0.0.1:50051", apiKey: DEVELOPMENT_KEY };
  assert.deepEqual(find({}, undefined, { ...NOWHERE, LEDGER_API_KEY: "of no server" }), development);
  assert.throws(() => find({ apiKey: KEY }, undefined, environment), /^InvalidOptions: apiKey without a server/);
});

test("the file is that of the user's configuration", async (t) => {
  const home = await folder(t);
  for (const [where, environment] of [
    [join(home, "xdg"), { XDG_CONFIG_HOME: join(home, "xdg"), HOME: home }],
    [join(home, ".config"), { XDG_CONFIG_HOME: "", HOME: home }],
  ] as const) {
    await mkdir(join(where, "prompt-ledger"), { recursive: true });
    const file = join(where, "prompt-ledger", "config.toml");
    await writeFile(file, `[profiles.default]\nserver = "http://${where === join(home, "xdg") ? "one" : "two"}"\n`);
    await chmod(file, 0o600);
    assert.equal(findProfile({}, undefined, environment).server, where.endsWith("xdg") ? "http://one" : "http://two");
  }
  const other = findProfile({}, undefined, { XDG_CONFIG_HOME: await folder(t) });
  assert.equal(other.apiKey, DEVELOPMENT_KEY);
});

test("an empty text of a profile counts as none", async (t) => {
  const empty = ["api_key", "project", "tls_ca", "tls_cert", "tls_key"].map((field) => `${field} = ""\n`);
  const file = await profiles(t, `[profiles.default]\nserver = "http://file"\n${empty.join("")}`);
  assert.deepEqual(given(findProfile({}, undefined, { LEDGER_CONFIG: file })), { server: "http://file" });
});

test("only the profile that is used is looked at", async (t) => {
  const file = await profiles(
    t,
    `[profiles.default]\nserver = "http://file"\n[profiles.other]\nserver = 3\nregion = "eu"\n`,
  );
  for (const environment of [{ LEDGER_CONFIG: file }, { LEDGER_CONFIG: file, LEDGER_PROFILE: "" }]) {
    assert.deepEqual(given(findProfile({}, undefined, environment)), { server: "http://file" });
  }
  assert.throws(() => findProfile({}, "other", { LEDGER_CONFIG: file }), /is to be a table of texts/);
});

test("a file that is named has the profile default, and one in its place need not", async (t) => {
  const xdg = await folder(t);
  await mkdir(join(xdg, "prompt-ledger"));
  const file = join(xdg, "prompt-ledger", "config.toml");
  await writeFile(file, `[profiles.staging]\nserver = "https://staging"\napi_key = "${KEY}"\n`, { mode: 0o600 });
  for (const environment of [{ LEDGER_CONFIG: file }, { LEDGER_CONFIG: file, LEDGER_PROFILE: "" }]) {
    assert.throws(
      () => findProfile({}, undefined, environment),
      (error) =>
        error instanceof InvalidOptions &&
        error.message.includes('has no profile "default"') &&
        !inspect(error).includes(KEY),
    );
  }
  assert.equal(findProfile({}, undefined, { XDG_CONFIG_HOME: xdg }).apiKey, DEVELOPMENT_KEY);
});

const BESIDE = /^\/.* holds something else than tables \[profiles\.NAME\]$/;
const NO_SERVER = /^the profile "default" of \/.* names no server: write server = /;

suite("a file that cannot be used is refused, and nothing of it is shown", () => {
  const table: [string, string, RegExp, number?][] = [
    ["others may read it", `[profiles.default]\nserver = "http://x"`, /chmod 600/, 0o640],
    ["no TOML", `[profiles.default]\napi_key = "pl_secret\n`, /is no TOML at line 2, column \d+/],
    ["no such profile", "[profiles.other]\nserver = 'http://x'", /has no profile "default"/],
    ["no server", "[profiles.default]\napi_key = 'pl_secret'", NO_SERVER],
    ["an empty server", "[profiles.default]\nserver = ''\napi_key = 'pl_secret'", NO_SERVER],
    ["no table", "[profiles]\ndefault = 'pl_secret'", /is to be a table of texts/],
    ["a number", "[profiles.default]\nserver = 3", /is to be a table of texts/],
    [
      "another field",
      "[profiles.default]\nserver = 'http://x'\npassword = 'pl_secret'",
      /has something else than api_key/,
    ],
    ["a list", "profiles = ['pl_secret']", BESIDE],
    ["a key alone", "api_key = 'pl_secret'", BESIDE],
    ["a key beside its profiles", "api_key = 'pl_secret'\n[profiles.default]\nserver = 'http://x'", BESIDE],
  ];
  for (const [name, content, problem, mode] of table) {
    test(name, async (t) => {
      const file = await profiles(t, content, mode);
      assert.throws(
        () => findProfile({}, "default", { LEDGER_CONFIG: file }),
        (error) => error instanceof InvalidOptions && problem.test(error.message) && !inspect(error).includes("secret"),
      );
    });
  }
  test("it is not there, or is no file", async (t) => {
    const missing = { LEDGER_CONFIG: join(await folder(t), "missing") };
    assert.throws(() => findProfile({}, undefined, missing), /"default" is wanted, and there is no/);
    assert.throws(() => findProfile({}, "work", NOWHERE), /"work" is wanted/);
    assert.throws(() => findProfile({}, undefined, { LEDGER_CONFIG: tmpdir() }), /cannot be read: EISDIR/);
  });
});

test("loopback is this machine alone", () => {
  for (const host of ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1"]) {
    assert.ok(isLoopback(host), host);
  }
  for (const host of [
    "localhost.example.com",
    "128.0.0.1",
    "::2",
    "::ffff:10.0.0.1",
    "0.0.0.0",
    "127.0.0.1.example.com",
  ]) {
    assert.ok(!isLoopback(host), host);
  }
});

test("a key goes in plain text to this machine alone", () => {
  const target = (server: string, apiKey: string, plain = false): Target => new Target({ server, apiKey }, plain);
  for (const server of [
    "http://localhost:1",
    "http://127.0.0.2",
    "http://[::1]:1",
    "http://[::ffff:127.0.0.1]",
    "https://far",
  ]) {
    assert.deepEqual(target(server, KEY).headers, [["x-api-key", KEY]]);
  }
  assert.throws(() => target("http://far:1", KEY), /would go to `far` unencrypted/);
  assert.deepEqual(target("http://far:1", KEY, true).headers, [["x-api-key", KEY]]);
  assert.deepEqual(target("http://far:1", "").headers, []);
  assert.throws(() => target("https://far", DEVELOPMENT_KEY), /goes to this machine alone/);
  assert.throws(() => target("http://far", DEVELOPMENT_KEY, true), /goes to this machine alone/);
});

test("what is no address, key or project is refused, and no key is shown", () => {
  const wrong = [
    "",
    "localhost",
    "127.0.0.1:50051",
    "ftp://host",
    "/path",
    "http://two words",
    "http://host:0",
    "http://host:x",
    "http://[::",
    "http://host/path",
    `http://host?${KEY}`,
    `http://host#${KEY}`,
  ];
  for (const server of wrong) {
    assert.throws(
      () => new Target({ server }, false),
      (error) =>
        error instanceof InvalidOptions &&
        error.message.includes("is no address of a server") &&
        !inspect(error).includes(KEY),
      server,
    );
  }
  for (const apiKey of ["very-secret\n", "pl_ü", " pl_x", "a\tb"]) {
    assert.throws(
      () => new Target({ server: "http://localhost", apiKey }, false),
      (error) => error instanceof InvalidOptions && !inspect(error).includes("secret"),
    );
  }
  assert.throws(
    () => new Target({ server: "http://localhost", project: `${KEY}\n` }, false),
    /^InvalidOptions: project holds characters that no name of a project has$/,
  );
});

test("an address with a user or a password is refused wherever it stands, and not shown", async (t) => {
  const before = { ...process.env };
  t.after(() => {
    process.env = before;
  });
  for (const server of [
    `http://ada:${KEY}@127.0.0.1:1`,
    `https://ada:${KEY}@ledger.example.com`,
    `http://${KEY}@localhost`,
    `http://:${KEY}@localhost:1`,
    `http://ada:a/${KEY}@localhost`,
    `http://ada:a?${KEY}@localhost`,
    `http://ada:%zz${KEY}@localhost`,
    `ada:${KEY}@localhost:1`,
    `http:\\\\ada:${KEY}@localhost`,
  ]) {
    const file = await profiles(t, `[profiles.default]\nserver = '${server}'\n`);
    for (const [options, environment] of [
      [{ server }, NOWHERE],
      [{}, { ...NOWHERE, LEDGER_SERVER: server }],
      [{}, { LEDGER_CONFIG: file }],
    ] as const) {
      process.env = environment;
      assert.throws(
        () => connect(options),
        (error) =>
          error instanceof InvalidOptions &&
          error.message.includes("LEDGER_API_KEY") &&
          !inspect(error).includes(KEY) &&
          !error.message.includes("ada"),
      );
    }
  }
});

test("no error shows what stands in the file", async (t) => {
  for (const entry of [
    `server = '${KEY}'`,
    `server = 'http://${KEY}.example.com'\napi_key = 'k'`,
    `server = 'http://localhost'\nproject = '${KEY}\u00e4'`,
    `server = 'http://localhost'\napi_key = '${KEY}\u00e4'`,
    `server = 'https://localhost'\ntls_ca = '${KEY}'`,
    `server = 'https://localhost'\ntls_cert = '${KEY}'\ntls_key = '${KEY}'`,
  ]) {
    const file = await profiles(t, `[profiles.default]\n${entry}\n`);
    assert.throws(
      () => settingsOf({}, { LEDGER_CONFIG: file }),
      (error) =>
        error instanceof InvalidOptions &&
        error.message.includes(`of the profile "default" of ${file}`) &&
        !/api[A-Z]|tls[A-Z]/.test(error.message.replace(file, "")) &&
        !inspect(error).includes(KEY),
      entry,
    );
  }
});

test("a file of profiles is a file, and bounded", async (t) => {
  const large = await profiles(t, `[profiles.default]\nserver = "http://x"\n${"#".repeat(1_024 * 1_024)}`);
  assert.throws(() => findProfile({}, undefined, { LEDGER_CONFIG: large }), /more than 1 MiB/);
  const pipe = join(await folder(t), "pipe");
  execFileSync("mkfifo", ["-m", "600", pipe]);
  assert.throws(() => findProfile({}, undefined, { LEDGER_CONFIG: pipe }), /is no file/);
});

test("addresses", () => {
  const of = (server: string): unknown[] => {
    const { url, host, port, tls } = new Target({ server }, false);
    return [url, host, port, tls !== undefined];
  };
  assert.deepEqual(of("http://[::1]:7"), ["http://[::1]:7", "::1", 7, false]);
  assert.deepEqual(of("https://ledger.example.com/"), ["https://ledger.example.com", "ledger.example.com", 443, true]);
  assert.deepEqual(of("http://localhost"), ["http://localhost", "localhost", 80, false]);
});

test("what is no certificate vouches for nothing", async (t) => {
  const path = await folder(t);
  const { cert, key } = await selfSigned(path);
  const tls = (options: Partial<Profile>): Target => new Target({ server: "https://host", ...options }, false);
  const damaged = "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n";
  for (const content of ["", "hunter2", damaged]) {
    const file = join(path, "ca.pem");
    await writeFile(file, content);
    for (const tlsCa of [file, Buffer.from(content)]) {
      assert.throws(() => tls({ tlsCa }), /tlsCa holds no certificate in PEM form/);
    }
  }
  assert.throws(() => tls({ tlsCa: join(path, "missing") }), /missing cannot be read: ENOENT/);
  assert.throws(() => tls({ tlsKey: key }), /belong together/);
  assert.throws(() => tls({ tlsCert: cert, tlsKey: cert }), /tlsKey holds no private key/);
  const whole = tls({ tlsCa: cert, tlsCert: cert, tlsKey: key });
  assert.match(whole.tls?.key ?? "", /PRIVATE KEY/);
  assert.ok(!inspect(whole, { showHidden: true, depth: 9 }).includes("PRIVATE"));
  assert.ok(tls({}).tls !== undefined, "the certificates of the system");
});

test("TLS settings are refused with http", async (t) => {
  const settings = { tls_ca: "tlsCa", tls_cert: "tlsCert", tls_key: "tlsKey" } as const;
  type Field = keyof typeof settings;
  for (const fields of [["tls_ca"], ["tls_cert"], ["tls_key"], ["tls_cert", "tls_key"]] as Field[][]) {
    for (const server of ["http://localhost", "HTTP://ledger.example.com"]) {
      const all = (value: (field: Field) => [string, string | Uint8Array]): Record<string, string | Uint8Array> =>
        Object.fromEntries(fields.map(value));
      const variables = all((field) => [`LEDGER_${field.toUpperCase()}`, "/missing"]) as Record<string, string>;
      const entries = fields.map((field) => `${field} = "${KEY}"\n`).join("");
      const file = await profiles(t, `[profiles.default]\nserver = "${server}"\n${entries}`);
      const both = fields.map((field) => `${settings[field]} (LEDGER_${field.toUpperCase()})`).join(", ");
      const explicit = all((field) => [settings[field], "/missing"]);
      for (const [profile, named] of [
        [findProfile({ server, apiKey: KEY, ...explicit }, undefined, {}), both],
        [findProfile({ server, ...all((field) => [settings[field], new Uint8Array()]) }, undefined, {}), both],
        [findProfile({}, undefined, { LEDGER_SERVER: server, LEDGER_API_KEY: KEY, ...variables }), both],
        [
          findProfile({}, undefined, { LEDGER_CONFIG: file }),
          `${fields.join(", ")} of the profile "default" of ${file}`,
        ],
      ] as const) {
        for (const allowPlaintext of [false, true]) {
          assert.throws(
            () => new Target(profile, allowPlaintext),
            ({ message }: Error) =>
              message.startsWith(`${named} cannot be used with http://`) && !message.includes(KEY),
          );
        }
      }
    }
  }
});

test("options are checked", () => {
  assert.equal(settingsOf({}, NOWHERE).server, "http://127.0.0.1:50051");
  assert.equal(settingsOf({ timeoutMs: 5 }, { LEDGER_SERVER: "http://localhost:2" }).timeoutMs, 5);
  assert.throws(() => settingsOf({ patienceMs: 0 }, NOWHERE), /patienceMs is to be more than 0/);
  assert.throws(() => settingsOf({ silenceMs: NaN }, NOWHERE), /silenceMs/);
  assert.throws(() => settingsOf({ mode: "half" as "full" }, NOWHERE), /"half" is no mode/);
  assert.throws(() => connect({ server: "nowhere" }), InvalidOptions);
});

test("nothing shows a key", () => {
  const settings = settingsOf({ server: "http://localhost", apiKey: KEY }, {});
  assert.ok(!inspect(settings, { showHidden: true, depth: 9 }).includes("secret"));
  assert.ok(!JSON.stringify(settings).includes("secret"));
});
