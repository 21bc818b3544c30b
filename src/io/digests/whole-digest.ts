/**
 * The digest of a whole file: the one that other programs print, and the one that a user expects.
 *
 * Hashes bytes that arrive in their order. Bytes that arrive out of order are read again, if somebody asked for the
 * digest. Without being asked it computes BLAKE3 alone, which costs little beside the rest, and nothing for a file of
 * one piece, whose digest is known.
 * Rules: docs/resume.md#the-digest-of-the-file
 */

import { HoplineError } from '../../core/errors.ts';
import type { Chunk } from '../legs/blocks.ts';
import { type ChecksumName, type DigestName, type Hasher, startChecksum, takesBlake } from './digest.ts';

export interface FileDigest {
  readonly algorithm: ChecksumName;
  /** Lower case. */
  readonly hex: string;
}

interface Passing {
  readonly size: number | undefined;
  readonly pieceBytes: number;
  readonly algorithm: DigestName | undefined;
}

export class WholeDigest {
  readonly #expected: FileDigest | undefined;
  readonly #isWanted: boolean;
  #algorithm: ChecksumName | undefined;
  #hasher: Hasher | undefined;
  #position = 0;
  /** Of a file that has passed whole. */
  digest: FileDigest | undefined;

  /** Where nobody wants it, only what is expected is computed. Throws `USAGE_INVALID` for an algorithm that this machine has not. */
  constructor(expected?: FileDigest, isWanted = true) {
    this.#expected = expected;
    this.#isWanted = isWanted;
    if (expected) startChecksum(expected.algorithm);
  }

  /** Content begins, or begins anew. */
  begin({ size = 0, pieceBytes, algorithm }: Passing): void {
    const isTold = algorithm !== undefined && size <= pieceBytes;
    const unasked = this.#isWanted && !isTold && takesBlake() ? 'blake3' : undefined;
    this.#algorithm = this.#expected?.algorithm ?? unasked;
    this.#hasher = this.#algorithm && startChecksum(this.#algorithm);
    this.#position = 0;
    this.digest = undefined;
  }

  /** Where content must go on for the digest to stay known; undefined once it has come out of its order. */
  get awaits(): number | undefined {
    return this.#hasher && this.#position;
  }

  /** What passed is not what the file will have. */
  forget(): void {
    this.#hasher = undefined;
  }

  /** Content passes. */
  take(position: number, chunks: readonly Pick<Chunk, 'bytes'>[]): void {
    if (position !== this.#position) this.#hasher = undefined;
    for (const { bytes } of this.#hasher ? chunks : []) {
      this.#hasher?.update(bytes);
      this.#position += bytes.length;
    }
  }

  /**
   * All has passed; `reread` gives a hasher what is there, in its order. Throws `HASH_MISMATCH` if it is not what was
   * expected, and what `reread` does.
   */
  async finish(size: number, reread?: (hasher: Hasher) => Promise<unknown>): Promise<void> {
    if (!this.#algorithm) return;
    let hasher = this.#position === size ? this.#hasher : undefined;
    if (!hasher && this.#expected && reread) {
      hasher = startChecksum(this.#algorithm);
      await reread(hasher);
    }
    if (hasher) this.digest = { algorithm: this.#algorithm, hex: hasher.digest() };
    const { algorithm, hex } = this.#expected ?? {};
    if (hex === undefined || hex === this.digest?.hex) return;
    const message = `the file has ${algorithm} ${this.digest?.hex ?? 'unknown'}, not ${hex} as --checksum says`;
    throw new HoplineError('HASH_MISMATCH', message);
  }
}
