/**
 * Piece digests on disk: one file per version of a served file and algorithm.
 *
 * A store file is a header, the digests, and a checksum over both. It is
 * written beside its place and renamed, and not synced: one that is torn, or
 * is not what its name says, counts as absent and is written anew.
 * Invariant: what `load` returns was saved for the same version, algorithm and piece size.
 */

import { randomBytes, webcrypto } from 'node:crypto';
import { readdir, rename, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from '../../core/log.ts';
import { systemCode, systemError } from '../../core/system-errors.ts';
import type { DigestName } from '../../io/digests/digest.ts';
import { makeDirectory, privateMode } from '../../io/disk/directories.ts';
import { openOwn } from '../../io/disk/own-file.ts';

const magic = 'hopline digests 1';
const headerBytes = 128;
const checksumBytes = 32;
const storeName = /^[0-9a-f]{32}\.(blake3|sha256)$/;
const temporaryName = /^[0-9a-f]{32}\.(blake3|sha256)\.[0-9a-f]{8}\.part$/;
/** A temporary file this old belongs to a process that is gone. */
const abandonedMs = 60_000;

export interface DigestKey {
  /** Of the file, in hex. */
  readonly version: string;
  readonly algorithm: DigestName;
  readonly pieceBytes: number;
  /** How many pieces the file has. */
  readonly pieces: number;
}

export class DigestStore {
  readonly #directory: string;
  readonly #maxFiles: number;
  readonly #log: Logger;
  /** The names in the directory, in the order of their last use. */
  readonly #names: Set<string>;

  private constructor(directory: string, maxFiles: number, log: Logger, names: Set<string>) {
    this.#directory = directory;
    this.#maxFiles = maxFiles;
    this.#log = log;
    this.#names = names;
  }

  /** Makes the directory if it is not there. Throws `USAGE_INVALID`. */
  static async open(directory: string, maxFiles: number, log: Logger): Promise<DigestStore> {
    try {
      await makeDirectory(directory, privateMode);
      const names = await listByAge(directory);
      return new DigestStore(directory, maxFiles, log, new Set(names));
    } catch (cause) {
      const message = `--digest-cache: read "${directory}", expected a directory that can be written`;
      throw systemError('USAGE_INVALID', message, cause);
    }
  }

  /** The digests saved for `key`, `length` bytes of them, or undefined. Never throws. */
  async load(key: DigestKey, length: number): Promise<Buffer | undefined> {
    const name = nameOf(key);
    const bytes = await readWhole(path.join(this.#directory, name), headerBytes + length + checksumBytes);
    if (!bytes) return undefined;
    const content = bytes.subarray(0, headerBytes + length);
    const isOurs = content.subarray(0, headerBytes).equals(headerOf(key));
    if (!isOurs || !bytes.subarray(content.length).equals(await checksum(content))) {
      this.#log.warn({ name }, 'digests on disk ignored: torn, or of another file');
      return undefined;
    }
    this.#touch(name);
    const now = new Date();
    await utimes(path.join(this.#directory, name), now, now).catch(() => {});
    return Buffer.from(content.subarray(headerBytes));
  }

  /** Never throws: a node without a store only hashes more. */
  async save(key: DigestKey, records: Buffer): Promise<void> {
    const name = nameOf(key);
    const temporary = path.join(this.#directory, `${name}.${randomBytes(4).toString('hex')}.part`);
    try {
      const content = Buffer.concat([headerOf(key), records]);
      await writeFile(temporary, [content, await checksum(content)], { flag: 'wx', mode: 0o600 });
      await rename(temporary, path.join(this.#directory, name));
      this.#touch(name);
      await this.#dropOldest();
    } catch (error) {
      this.#log.warn({ name, reason: systemCode(error) }, 'digests not saved');
      await unlink(temporary).catch(() => {});
    }
  }

  #touch(name: string): void {
    this.#names.delete(name);
    this.#names.add(name);
  }

  async #dropOldest(): Promise<void> {
    for (const name of this.#names) {
      if (this.#names.size <= this.#maxFiles) return;
      this.#names.delete(name);
      await unlink(path.join(this.#directory, name)).catch(() => {});
    }
  }
}

function nameOf({ version, algorithm }: DigestKey): string {
  return `${version}.${algorithm}`;
}

function headerOf({ version, algorithm, pieceBytes, pieces }: DigestKey): Buffer {
  const header = Buffer.alloc(headerBytes, ' ');
  header.write(`${magic}\n${version} ${algorithm} ${pieceBytes} ${pieces}`);
  header.write('\n', headerBytes - 1);
  return header;
}

/** Off the main thread: the digests of a large file are megabytes. */
async function checksum(content: Buffer): Promise<Buffer> {
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', content));
}

/** A file of exactly `length` bytes, or undefined. */
async function readWhole(file: string, length: number): Promise<Buffer | undefined> {
  try {
    const handle = await openOwn(file);
    if (!handle) return undefined;
    try {
      if ((await handle.stat()).size !== length) return undefined;
      const bytes = Buffer.alloc(length);
      const { bytesRead } = await handle.read(bytes, 0, length, 0);
      return bytesRead === length ? bytes : undefined;
    } finally {
      await handle.close();
    }
  } catch {
    return undefined;
  }
}

async function listByAge(directory: string): Promise<string[]> {
  const ages: { readonly name: string; readonly usedMs: number }[] = [];
  for (const name of await readdir(directory)) {
    const file = path.join(directory, name);
    const usedMs = (await stat(file).catch(() => undefined))?.mtimeMs ?? 0;
    if (storeName.test(name)) ages.push({ name, usedMs });
    else if (temporaryName.test(name) && Date.now() - usedMs > abandonedMs) await unlink(file).catch(() => {});
  }
  return ages.sort((a, b) => a.usedMs - b.usedMs).map(({ name }) => name);
}
