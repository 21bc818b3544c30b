/** The digests of what a file on disk holds in a range: read once, whatever it is compared with. */

import type { FileHandle } from 'node:fs/promises';
import type { DigestAlgorithm, Hasher } from '../../digests/digest.ts';
import type { FileRange } from '../writing/target.ts';

/** So much is read at once, however long a range is. */
const blockBytes = 1024 * 1024;

export class RangeReader {
  readonly #handle: FileHandle;
  readonly #signal: AbortSignal | undefined;
  readonly #block = Buffer.allocUnsafeSlow(blockBytes);

  constructor(handle: FileHandle, signal?: AbortSignal) {
    this.#handle = handle;
    this.#signal = signal;
  }

  /** Gives each hasher the bytes from `start` up to `end`; false if the file ends before. Throws the signal's reason, or what the system says. */
  async read(start: number, end: number, hashers: readonly Pick<Hasher, 'update'>[]): Promise<boolean> {
    for (let position = start; position < end; ) {
      this.#signal?.throwIfAborted();
      const length = Math.min(blockBytes, end - position);
      const { bytesRead } = await this.#handle.read(this.#block, 0, length, position);
      if (bytesRead === 0) return false;
      for (const hasher of hashers) hasher.update(this.#block.subarray(0, bytesRead));
      position += bytesRead;
    }
    return true;
  }
}

/** The digest of a range, as far as the file has it. Throws the signal's reason, or what the system says. */
export async function digestOfRange(
  handle: FileHandle,
  { offset, length }: FileRange,
  algorithm: DigestAlgorithm,
  signal?: AbortSignal,
): Promise<string> {
  const hasher = algorithm.start();
  await new RangeReader(handle, signal).read(offset, offset + length, [hasher]);
  return hasher.digest();
}
