/**
 * The file of one stored answer: written once, block digests and all, then read, whole or in ranges.
 *
 * It has its final name from the start: without the record at its end, written
 * last, it is no entry. Nothing is synced: after a loss of power, a block that did
 * not get to the disk is told by its digest. Invariant: bytes of a file that another process wrote leave `readChecked`
 * only after their block's digest was compared.
 */

import { closeSync, constants, openSync, unlinkSync, writeSync } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import path from 'node:path';
import { HoplineError } from '../../../core/errors.ts';
import type { DigestAlgorithm } from '../../../io/digests/digest.ts';
import { fill } from '../../../io/disk/reading/read-blocks.ts';
import {
  decodeRecord,
  digestBytes,
  type EntryHead,
  type EntryRecord,
  encodeRecord,
  recordBytes,
  recordOffset,
  trailerBytes,
} from './entry-record.ts';

/** Bytes that one digest is for: so much is read before a byte of it can leave. */
const blockBytes = 1024 * 1024;

/** What a file says, and how many bytes it has in all. */
export interface ReadRecord {
  readonly record: EntryRecord;
  readonly bytes: number;
}

/** A file in the making; several may read what has been written meanwhile. */
export class EntryWriter {
  /** Of the file, in its directory. */
  readonly name: string;
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #algorithm: DigestAlgorithm;
  readonly #digests: Buffer[] = [];
  #hasher: ReturnType<DigestAlgorithm['start']>;
  #inBlock = 0;
  #written = 0;

  private constructor(file: string, handle: FileHandle, algorithm: DigestAlgorithm) {
    this.name = path.basename(file);
    this.#path = file;
    this.#handle = handle;
    this.#algorithm = algorithm;
    this.#hasher = algorithm.start();
  }

  static async create(file: string, algorithm: DigestAlgorithm): Promise<EntryWriter> {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0);
    return new EntryWriter(file, await open(file, flags, 0o600), algorithm);
  }

  get written(): number {
    return this.#written;
  }

  /** Appends; one call at a time. */
  async write(bytes: Buffer): Promise<void> {
    await writeAll(this.#handle, bytes, this.#written);
    this.#hash(bytes);
    this.#written += bytes.length;
  }

  /** Writes anywhere, for `measure` to be called in the end. */
  async writeAt(position: number, bytes: Buffer): Promise<void> {
    await writeAll(this.#handle, bytes, position);
  }

  /** Takes the `length` bytes that `writeAt` has written for what was appended. */
  async measure(length: number): Promise<void> {
    while (this.#written < length) {
      const bytes = await readSome(this.#handle, this.#written, Math.min(blockBytes, length - this.#written));
      if (bytes.length === 0)
        throw new HoplineError('DISK_FAILED', 'a file of the cache is shorter than it was written');
      this.#hash(bytes);
      this.#written += bytes.length;
    }
  }

  /** At most `length` bytes of what has been written. */
  async read(position: number, length: number): Promise<Buffer> {
    return readSome(this.#handle, position, Math.min(length, this.#written - position));
  }

  /** Writes what belongs behind the content. */
  async publish(head: EntryHead): Promise<ReadRecord> {
    if (this.#inBlock > 0) this.#endBlock();
    const digests = Buffer.concat(this.#digests);
    const record = makeRecord(head, this.#written, digests, this.#algorithm);
    const tail = Buffer.concat([digests, encodeRecord(record)]);
    await writeAll(this.#handle, tail, this.#written);
    return { record, bytes: this.#written + tail.length };
  }

  /** Never rejects: what did not get to the disk, the digests will tell. */
  async close(): Promise<void> {
    await this.#handle.close().catch(() => {});
  }

  async discard(): Promise<void> {
    await unlink(this.#path).catch(() => {});
  }

  #hash(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + blockBytes - this.#inBlock);
      this.#hasher.update(part);
      this.#inBlock += part.length;
      at += part.length;
      if (this.#inBlock === blockBytes) this.#endBlock();
    }
  }

  #endBlock(): void {
    this.#digests.push(Buffer.from(this.#hasher.digest(), 'hex'));
    this.#hasher = this.#algorithm.start();
    this.#inBlock = 0;
  }
}

/**
 * Writes the file of an answer of at most one block, before it returns: that goes to the system's memory, which takes about
 * 20 µs, where the same by way of other threads takes 150 µs of processor time. Throws what the system says.
 */
export function writeEntry(file: string, head: EntryHead, content: Buffer, algorithm: DigestAlgorithm): ReadRecord {
  const digest = content.length > 0 ? algorithm.digestOf(content) : Buffer.alloc(0);
  const record = makeRecord(head, content.length, digest, algorithm);
  const bytes = Buffer.concat([content, digest, encodeRecord(record)]);
  const descriptor = openSync(file, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
  } catch (error) {
    unlinkSync(file);
    throw error;
  } finally {
    closeSync(descriptor);
  }
  return { record, bytes: bytes.length };
}

/** What a file says; undefined if it is not one of ours, or is damaged. */
export async function readRecord(handle: FileHandle): Promise<ReadRecord | undefined> {
  const { size } = await handle.stat();
  if (size < trailerBytes) return undefined;
  const tail = await readSome(handle, Math.max(0, size - 4096), Math.min(size, 4096));
  const trailer = tail.subarray(tail.length - trailerBytes);
  const length = recordBytes(trailer);
  if (length === undefined || length > size - trailerBytes) return undefined;
  const isHere = length + trailerBytes <= tail.length;
  const json = isHere
    ? tail.subarray(tail.length - trailerBytes - length, tail.length - trailerBytes)
    : await readSome(handle, size - trailerBytes - length, length);
  const record = decodeRecord(json, trailer, size);
  return record && { record, bytes: size };
}

/** Writes a new record over the one of a file, and resolves to the file's length. */
export async function rewriteRecord(file: string, record: EntryRecord): Promise<number> {
  const handle = await open(file, constants.O_WRONLY | (constants.O_NOFOLLOW ?? 0));
  try {
    const bytes = encodeRecord(record);
    const offset = recordOffset(record);
    // Stopped in between, the file has no trailer that fits, and is no entry any more.
    await writeAll(handle, bytes, offset);
    await handle.truncate(offset + bytes.length);
    return offset + bytes.length;
  } finally {
    await handle.close();
  }
}

/** The digests of all blocks, or undefined if they are not what the record vouches for. */
export async function readDigests(
  handle: FileHandle,
  record: EntryRecord,
  algorithm: DigestAlgorithm,
): Promise<Buffer | undefined> {
  const digests = await readSome(handle, record.contentBytes, recordOffset(record) - record.contentBytes);
  return algorithm.digestOf(digests).toString('hex') === record.root ? digests : undefined;
}

/** One block, or undefined if its digest is another. */
export async function readBlock(
  handle: FileHandle,
  record: EntryRecord,
  index: number,
  digests: Buffer,
  algorithm: DigestAlgorithm,
): Promise<Buffer | undefined> {
  const offset = index * record.blockBytes;
  const bytes = await readSome(handle, offset, Math.min(record.blockBytes, record.contentBytes - offset));
  const expected = digests.subarray(index * digestBytes, (index + 1) * digestBytes);
  return algorithm.digestOf(bytes).equals(expected) ? bytes : undefined;
}

/** At most `length` bytes, fewer where the file ends. */
export async function readSome(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(Math.max(0, length));
  return bytes.subarray(0, await fill(handle, bytes, position));
}

function makeRecord(head: EntryHead, contentBytes: number, digests: Buffer, algorithm: DigestAlgorithm): EntryRecord {
  const root = algorithm.digestOf(digests).toString('hex');
  return { head, contentBytes, blockBytes, algorithm: algorithm.name, root };
}

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
