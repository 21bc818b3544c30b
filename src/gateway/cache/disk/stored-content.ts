/**
 * The content of a stored answer, ready to be sent: from memory, from a file that is known to be sound, or compared block by
 * block on its way.
 *
 * Invariant: no byte leaves that has not been compared with its digest since this process began, or was written by it.
 */

import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { HoplineError } from '../../../core/errors.ts';
import { systemError } from '../../../core/system-errors.ts';
import type { FileBody } from '../../../http/exchange.ts';
import { type ByteRange, framedRanges, type MultipartFrame } from '../../../http/representation/ranges.ts';
import type { DigestAlgorithm } from '../../../io/digests/digest.ts';
import { openOwn } from '../../../io/disk/own-file.ts';
import { readBlock, readDigests, readSome } from './entry-file.ts';
import type { EntryRecord } from './entry-record.ts';

/** What reading needs to know of an entry. */
export interface ReadableEntry {
  /** Of its file, in the cache's directory. */
  readonly name: string;
  readonly record: EntryRecord;
  /** The whole, if it is small and was used lately. */
  content: Buffer | undefined;
  /** The blocks that have not been compared with their digests; undefined if all have been. */
  unchecked: Set<number> | undefined;
}

export interface ContentOptions {
  readonly algorithms: readonly DigestAlgorithm[];
  /** Read it at once. */
  readonly isSmall: boolean;
  /** Called when a block turns out to be damaged while it is sent. */
  readonly onDamage: () => void;
}

export type StoredContent =
  | { readonly kind: 'memory'; readonly bytes: Buffer }
  /** Whoever gets it closes it. */
  | { readonly kind: 'file'; readonly source: FileSource };

const chunkBytes = 256 * 1024;

/** Opens the content; undefined if it is not there or damaged. A small one is read at once. Throws `DISK_FAILED` where the machine cannot open it now. */
export async function openContent(
  path: string,
  entry: ReadableEntry,
  { algorithms, isSmall, onDamage }: ContentOptions,
): Promise<StoredContent | undefined> {
  const algorithm = algorithms.find(({ name }) => name === entry.record.algorithm);
  const handle = await openOwn(path).catch((cause) => {
    throw systemError('DISK_FAILED', 'cannot open a stored answer', cause);
  });
  if (!handle) return undefined;
  if (!algorithm) {
    await handle.close();
    return undefined;
  }
  const source = new FileSource(handle, entry, algorithm, onDamage);
  try {
    if (!isSmall && (await source.prepare())) return { kind: 'file', source };
    const bytes = isSmall ? await source.readWhole() : undefined;
    await source.close();
    return bytes && { kind: 'memory', bytes };
  } catch {
    await source.close();
    return undefined;
  }
}

/** An open file of a stored answer. */
class FileSource {
  readonly #handle: FileHandle;
  readonly #entry: ReadableEntry;
  readonly #algorithm: DigestAlgorithm;
  readonly #onDamage: () => void;
  #digests: Buffer | undefined;

  constructor(handle: FileHandle, entry: ReadableEntry, algorithm: DigestAlgorithm, onDamage: () => void) {
    this.#handle = handle;
    this.#entry = entry;
    this.#algorithm = algorithm;
    this.#onDamage = onDamage;
  }

  /** Reads what is needed to compare blocks; false if that is damaged. */
  async prepare(): Promise<boolean> {
    if (!this.#entry.unchecked) return true;
    this.#digests = await readDigests(this.#handle, this.#entry.record, this.#algorithm);
    return this.#digests !== undefined;
  }

  /** All of it, or undefined if it is damaged. */
  async readWhole(): Promise<Buffer | undefined> {
    if (!(await this.prepare())) return undefined;
    const parts: Buffer[] = [];
    for await (const part of this.#read({ offset: 0, length: this.#entry.record.contentBytes })) parts.push(part);
    return Buffer.concat(parts);
  }

  /** One range as a body, which closes the file: what is known to be sound can leave inside the kernel. */
  body(range: ByteRange): FileBody | Readable {
    if (this.#isSound(range)) {
      const handle = this.#handle;
      return { handle, ...range, close: () => this.close() };
    }
    return this.stream([range]);
  }

  /** Ranges, in a frame if there is one; the stream closes the file. */
  stream(ranges: readonly ByteRange[], frame?: MultipartFrame): Readable {
    const parts = framedRanges(ranges, frame, (range) => this.#read(range));
    return new Readable({
      highWaterMark: 2 * chunkBytes,
      read() {
        parts.next().then(
          ({ done, value }) => this.push(done ? null : value),
          (error: Error) => this.destroy(error),
        );
      },
      destroy: (error, done) => {
        this.close().then(
          () => done(error),
          () => done(error),
        );
      },
    });
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async *#read({ offset, length }: ByteRange): AsyncGenerator<Buffer, undefined> {
    const end = offset + length;
    for (let at = offset; at < end; ) {
      const { blockBytes } = this.#entry.record;
      const block = Math.floor(at / blockBytes);
      const left = Math.min(end, (block + 1) * blockBytes) - at;
      const bytes = this.#entry.unchecked?.has(block)
        ? (await this.#checkBlock(block)).subarray(at % blockBytes, (at % blockBytes) + left)
        : await readSome(this.#handle, at, Math.min(left, chunkBytes));
      if (bytes.length === 0) throw this.#damaged();
      at += bytes.length;
      yield bytes;
    }
  }

  async #checkBlock(block: number): Promise<Buffer> {
    const { record, unchecked } = this.#entry;
    if (!this.#digests && !(await this.prepare())) throw this.#damaged();
    const bytes = await readBlock(this.#handle, record, block, this.#digests ?? Buffer.alloc(0), this.#algorithm);
    if (!bytes) throw this.#damaged();
    unchecked?.delete(block);
    if (unchecked?.size === 0) this.#entry.unchecked = undefined;
    return bytes;
  }

  #isSound({ offset, length }: ByteRange): boolean {
    const { unchecked, record } = this.#entry;
    if (!unchecked) return true;
    for (let block = Math.floor(offset / record.blockBytes); block * record.blockBytes < offset + length; block += 1) {
      if (unchecked.has(block)) return false;
    }
    return true;
  }

  #damaged(): HoplineError {
    this.#onDamage();
    return new HoplineError('HASH_MISMATCH', 'a stored answer is damaged on disk');
  }
}
