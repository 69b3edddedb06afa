/** What a connection is made of. */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { BlockList, isIP } from "node:net";
import { getCACertificates } from "node:tls";

import { InvalidOptions } from "../errors/index.ts";
import { DEVELOPMENT_KEY, type FoundProfile, type Pem } from "./profile.ts";

/** Certificates and keys in PEM form. */
export interface Tls {
  /** Those that Node.js brings where there are none. */
  readonly ca: string[] | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** Where to connect to, and what each call carries. */
export class Target {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Undefined: plain text. */
  readonly #tls: Tls | undefined;
  readonly #key: string;
  readonly #headers: readonly (readonly [string, string])[];

  constructor(profile: FoundProfile, allowPlaintext: boolean) {
    const url = parsedUrl(profile);
    const isSecure = url.protocol === "https:";
    const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
    const key = profile.apiKey ?? "";
    const project = profile.project ?? "";
    const useless = isSecure ? "" : tlsSettings(profile);
    if (useless !== "") {
      throw new InvalidOptions(
        `${useless} cannot be used with http://, which is not encrypted: write https://, or leave the TLS settings out`,
      );
    }
    if (!isSecure && key !== "" && !allowPlaintext && !isLoopback(host)) {
      throw new InvalidOptions(
        `the API key would go to ${shown(profile, "server", host)} unencrypted: ` +
          "write https://, or set allowPlaintext where the way is safe",
      );
    }
    if (key === DEVELOPMENT_KEY && !isLoopback(host)) {
      const there = shown(profile, "server", host);
      throw new InvalidOptions(`the development key goes to this machine alone, not to ${there}: make a key there`);
    }
    if (!isHeader(key)) {
      throw new InvalidOptions(
        `${partOf(profile, "apiKey")} holds characters that no key has; was it copied whole, without line breaks?`,
      );
    }
    if (!isHeader(project)) {
      throw new InvalidOptions(`${partOf(profile, "project")} holds characters that no name of a project has`);
    }
    this.url = url.origin;
    this.host = host;
    this.port = Number(url.port || (isSecure ? 443 : 80));
    this.#tls = isSecure ? tlsOf(profile) : undefined;
    this.#key = key;
    const headers: [string, string][] = [
      ["x-api-key", key],
      ["x-ledger-project", project],
    ];
    this.#headers = headers.filter(([, value]) => value !== "");
  }

  get tls(): Tls | undefined {
    return this.#tls;
  }

  /** Empty where there is none. */
  get key(): string {
    return this.#key;
  }

  /** Sent with each call. */
  get headers(): readonly (readonly [string, string])[] {
    return this.#headers;
  }
}

/** Says in errors where an option stands: in a file its name is written with underscores. */
function partOf({ source }: FoundProfile, option: string): string {
  const field = option.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return source === undefined ? option : `${field} of ${source}`;
}

/** Names a value in errors. */
function shown(profile: FoundProfile, part: string, value: string): string {
  return profile.source === undefined ? `\`${value}\`` : `the ${partOf(profile, part)}`;
}

/** What an encrypted connection alone uses, as options and in files. */
const TLS_SETTINGS = [
  ["tlsCa", "tls_ca"],
  ["tlsCert", "tls_cert"],
  ["tlsKey", "tls_key"],
] as const;

/** Those of a profile, by the names that its user wrote; empty where there are none. */
function tlsSettings(profile: FoundProfile): string {
  const given = TLS_SETTINGS.filter(([option]) => profile[option] !== undefined);
  if (profile.source === undefined) {
    return given.map(([option, field]) => `${option} (LEDGER_${field.toUpperCase()})`).join(", ");
  }
  return given.length === 0 ? "" : partOf(profile, given.map(([, field]) => field).join(", "));
}

function parsedUrl(profile: FoundProfile): URL {
  const { server } = profile;
  if (server.includes("@")) {
    // Whatever stands before it may be a password, so nothing of it is shown.
    throw new InvalidOptions(
      `the ${partOf(profile, "address")} holds a user or a password, which an address of a server does not have: write ` +
        "http://HOST:PORT or https://HOST:PORT, and give the key as apiKey, LEDGER_API_KEY or api_key",
    );
  }
  const isWritten = /^https?:\/\/[^\s/?#@]+\/?$/i.test(server);
  const url = isWritten && URL.canParse(server) ? new URL(server) : undefined;
  if (url === undefined || url.hostname === "" || url.port === "0") {
    // Without a query or a fragment, in which a key may stand.
    const what = shown(profile, "server", server.replace(/[?#].*/s, "..."));
    throw new InvalidOptions(`${what} is no address of a server; write http://HOST:PORT or https://HOST:PORT`);
  }
  return url;
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8);
LOOPBACK.addAddress("::1", "ipv6");

/** Whether a host is `localhost` or a loopback address, also as `::ffff:127.0.0.1`. */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === "localhost") {
    return true;
  }
  const version = isIP(host);
  return version !== 0 && LOOPBACK.check(host, version === 6 ? "ipv6" : "ipv4");
}

function isHeader(value: string): boolean {
  return /^[\x20-\x7e]*$/.test(value) && value === value.trim();
}

function tlsOf(profile: FoundProfile): Tls {
  if ((profile.tlsCert === undefined) !== (profile.tlsKey === undefined)) {
    throw new InvalidOptions("tlsCert and tlsKey belong together: give both or neither");
  }
  const ca = profile.tlsCa === undefined ? undefined : certificates(profile, "tlsCa", profile.tlsCa);
  const cert = profile.tlsCert === undefined ? undefined : certificates(profile, "tlsCert", profile.tlsCert);
  return {
    ca: ca === undefined ? systemCertificates() : [ca],
    cert,
    key: profile.tlsKey === undefined ? undefined : privateKey(profile, "tlsKey", profile.tlsKey),
  };
}

/** Those that the system trusts, and those of `NODE_EXTRA_CA_CERTS`; undefined where the system has none. */
function systemCertificates(): string[] | undefined {
  const found = getCACertificates("system");
  return found.length === 0 ? undefined : [...found, ...getCACertificates("extra")];
}

function certificates(profile: FoundProfile, option: string, pem: Pem): string {
  const content = contentOf(profile, option, pem);
  const found = content.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? [];
  if (found.length === 0 || !found.every(isCertificate)) {
    throw new InvalidOptions(`${partOf(profile, option)} holds no certificate in PEM form`);
  }
  return content;
}

function isCertificate(pem: string): boolean {
  try {
    // It throws where it is none.
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}

function privateKey(profile: FoundProfile, option: string, pem: Pem): string {
  const content = contentOf(profile, option, pem);
  try {
    createPrivateKey(content);
  } catch {
    // Nothing of the key, nor of what was found in its place, goes into a message.
    throw new InvalidOptions(`${partOf(profile, option)} holds no private key in PEM form`);
  }
  return content;
}

function contentOf(profile: FoundProfile, option: string, pem: Pem): string {
  if (pem instanceof Uint8Array) {
    return Buffer.from(pem).toString();
  }
  try {
    return readFileSync(pem, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    // Of a path that stands in a file, nothing is shown.
    const path = profile.source === undefined ? `: ${String(pem)}` : "";
    throw new InvalidOptions(`${partOf(profile, option)}${path} cannot be read: ${code}`);
  }
}
