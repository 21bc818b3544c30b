/** The digests of what a file on disk holds in a range: read once, whatever it is compared with. */

import type { FileHandle } from 'node:fs/promises';
import type { Signal } from '../../../core/signal.ts';
import type { DigestAlgorithm, Hasher } from '../../digests/digest.ts';
import { type FileRange, readBlocks } from './read-blocks.ts';

/** So much is read at once, however long a range is. */
const blockBytes = 1024 * 1024;

export class RangeReader {
  readonly #handle: FileHandle;
  readonly #signal: Signal | undefined;
  #block: Buffer | undefined;

  constructor(handle: FileHandle, signal?: Signal) {
    this.#handle = handle;
    this.#signal = signal;
  }

  /** Gives each hasher the bytes from `start` up to `end`; false if the file ends before. Throws the signal's reason, or what the system says. */
  async read(start: number, end: number, hashers: readonly Pick<Hasher, 'update'>[]): Promise<boolean> {
    const range = { offset: start, length: end - start };
    const next = () => {
      this.#signal?.throwIfAborted();
      // Most readers of small files are never asked for anything, and so much for each keeps the collector of memory busy.
      this.#block ??= Buffer.allocUnsafeSlow(blockBytes);
      return this.#block;
    };
    let read = 0;
    for await (const block of readBlocks(this.#handle, range, next)) {
      for (const hasher of hashers) hasher.update(block);
      read += block.length;
    }
    return read === range.length;
  }
}

/** The digest of a range, as far as the file has it. Throws the signal's reason, or what the system says. */
export async function digestOfRange(
  handle: FileHandle,
  { offset, length }: FileRange,
  algorithm: DigestAlgorithm,
  signal?: Signal,
): Promise<string> {
  const hasher = algorithm.start();
  await new RangeReader(handle, signal).read(offset, offset + length, [hasher]);
  return hasher.digest();
}
