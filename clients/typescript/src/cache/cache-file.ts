/**
 * The file in which a cache of prompts keeps what it holds, for the next process to begin with.
 *
 * It has a line that says what it is, 32 bytes of SHA-256 over what it is kept of, the milliseconds since 1970 at which nothing
 * was missing (8 bytes, big-endian), each prompt as a `PromptChange` behind its length (4 bytes, big-endian), and 32 bytes of
 * SHA-256 over all before them.
 */

import { createHash, randomBytes } from "node:crypto";
import { closeSync, fstatSync, readFileSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { fromBinary } from "@bufbuild/protobuf";

import { type PromptChange, PromptChangeSchema } from "../gen/promptledger/v1/registry_watch_pb.js";
import { isOwnFile, openOwnFile } from "../own-file.ts";

const MAGIC = Buffer.from("prompt-ledger cache 1\n");
const HASH = 32;
const HEAD = MAGIC.length + HASH + 8;
/** In bytes; a larger file is neither read nor written. */
const LARGEST = 256 * 1_024 * 1_024;

/** Which prompts of which ledger a cache holds. A file of another source is not read. */
export interface CacheSource {
  readonly server: string;
  readonly project: string;
  /** It says of which project the prompts are, where `project` is empty. The file has its hash alone, with that of all others. */
  readonly key: string;
  readonly names: readonly string[];
  readonly namePrefix: string;
}

/** What a file holds. */
export interface Kept {
  readonly states: readonly PromptChange[];
  /** Nothing was missing then. */
  readonly currentAt: Date;
}

/** A file, and what it is kept of. */
export class CacheFile {
  readonly path: string;
  readonly #of: Buffer;
  readonly #largest: number;

  constructor(path: string, source: CacheSource, largest = LARGEST) {
    const { server, project, key, names, namePrefix } = source;
    this.path = path;
    this.#of = sha256(Buffer.from(JSON.stringify([server, project, key, [...new Set(names)].sort(), namePrefix])));
    this.#largest = largest;
  }

  /** What it holds; undefined where there is no file. Throws where it is not what a cache of this source has written. */
  read(): Kept | undefined {
    let file: number;
    try {
      file = openOwnFile(this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") {
        return undefined;
      }
      throw error;
    }
    try {
      const about = fstatSync(file);
      // What it holds is served as the prompts of the ledger: nobody else may say what that is.
      if (!isOwnFile(about)) {
        throw new Error("it is no file, or belongs to or can be written by another user");
      }
      if (about.size > this.#largest) {
        throw new Error("it is larger than any that is written");
      }
      return this.#kept(readFileSync(file));
    } finally {
      closeSync(file);
    }
  }

  #kept(bytes: Buffer): Kept {
    const content = bytes.subarray(0, -HASH);
    const isWhole = bytes.length >= HEAD + HASH && sha256(content).equals(bytes.subarray(-HASH));
    if (!isWhole || !content.subarray(0, MAGIC.length).equals(MAGIC)) {
      throw new Error("it is damaged, or another kind of file");
    }
    if (!content.subarray(MAGIC.length, MAGIC.length + HASH).equals(this.#of)) {
      throw new Error("it is of another ledger, project, key or selection");
    }
    const states: PromptChange[] = [];
    for (let at = HEAD; at < content.length;) {
      const length = content.readUInt32BE(at);
      states.push(fromBinary(PromptChangeSchema, content.subarray(at + 4, at + 4 + length)));
      at += 4 + length;
    }
    return { states, currentAt: new Date(Number(content.readBigUInt64BE(HEAD - 8))) };
  }

  /**
   * Puts a file with these in its place, which only its owner may read. The earlier one stays until the new one is whole and on
   * the disk.
   */
  async write(states: Iterable<Uint8Array>, currentAt: Date): Promise<void> {
    const content = this.#content(states, currentAt);
    const size = content.reduce((sum, each) => sum + each.byteLength, 0);
    if (size > this.#largest) {
      throw new Error(`the prompts take ${String(size)} bytes, and a file has at most ${String(this.#largest)}`);
    }
    const suffix = randomBytes(6).toString("hex");
    const temporary = join(dirname(this.path), `.${basename(this.path)}.${suffix}`);
    try {
      const file = await open(temporary, "wx", 0o600);
      try {
        for (const piece of content) {
          // All of it, or it throws; a single write may end early, as where a disk is full.
          await file.writeFile(piece);
        }
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, this.path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  #content(states: Iterable<Uint8Array>, currentAt: Date): Uint8Array[] {
    const at = Buffer.alloc(8);
    at.writeBigUInt64BE(BigInt(currentAt.getTime()));
    const frames = [...states].flatMap((state) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(state.byteLength);
      return [length, state];
    });
    const body = Buffer.concat([MAGIC, this.#of, at, ...frames]);
    return [body, sha256(body)];
  }
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}
