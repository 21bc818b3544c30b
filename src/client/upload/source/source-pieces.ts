/**
 * The pieces of the file that is sent: how it is cut, and their digests as far as they are known.
 *
 * Does not know which of them an origin has.
 * Invariant: all digests are by one algorithm, and each is of bytes that were read here.
 */

import { HoplineError } from '../../../core/errors.ts';
import type { Limits } from '../../../core/limits.ts';
import type { Signal } from '../../../core/signal.ts';
import { type DigestAlgorithm, digestOfPieces } from '../../../io/digests/digest.ts';
import type { UploadedFile } from '../../upload-result.ts';
import type { SourceFile } from './source-file.ts';

export class SourcePieces {
  readonly count: number;
  /** Bytes of each but the last. */
  readonly pieceBytes: number;
  readonly #source: SourceFile;
  #algorithm: DigestAlgorithm | undefined;
  #digests: (string | undefined)[] = [];

  /** Throws `USAGE_INVALID` for a file that is larger than any upload. */
  constructor(source: SourceFile, limits: Limits) {
    this.#source = source;
    this.pieceBytes = choosePieceBytes(source.size, limits);
    this.count = Math.ceil(source.size / this.pieceBytes);
  }

  /** From now on digests are by `algorithm`; those by another are forgotten. */
  digestBy(algorithm: DigestAlgorithm): void {
    if (algorithm.name !== this.#algorithm?.name) this.#digests = new Array(this.count);
    this.#algorithm = algorithm;
  }

  /** Bytes. */
  rangeOf(index: number): { readonly offset: number; readonly length: number } {
    const offset = index * this.pieceBytes;
    return { offset, length: Math.min(this.pieceBytes, this.#source.size - offset) };
  }

  /** In hex; empty if it is not known. */
  digestOf(index: number): string {
    return this.#digests[index] ?? '';
  }

  /** Room for any of the pieces. */
  newBuffer(): Buffer {
    return Buffer.allocUnsafeSlow(Math.min(this.#source.size, this.pieceBytes));
  }

  /** Reads a piece into `buffer`, and takes its digest. `digestBy` must have been called. Throws as `SourceFile.readPiece`. */
  async read(index: number, buffer: Buffer): Promise<{ readonly bytes: Buffer; readonly digest: string }> {
    const bytes = await this.#source.readPiece(buffer, index * this.pieceBytes);
    const digest = (this.#algorithm as DigestAlgorithm).digestOf(bytes).toString('hex');
    this.#digests[index] = digest;
    return { bytes, digest };
  }

  /** The digest over all pieces, those read that were not yet; null if they cannot be, or before there is an algorithm. */
  async digest(signal: Signal): Promise<UploadedFile['piecesDigest']> {
    const algorithm = this.#algorithm;
    if (!algorithm) return null;
    try {
      const buffer = this.newBuffer();
      for (let index = 0; index < this.count; index += 1) {
        if (this.#digests[index] !== undefined) continue;
        signal.throwIfAborted();
        await this.read(index, buffer);
      }
    } catch {
      return null;
    }
    return { algorithm: algorithm.name, hex: digestOfPieces(this.#digests as string[], algorithm) };
  }
}

/** The client's own cut, in larger pieces where these would be too many. */
function choosePieceBytes(size: number, { pieceBytes, maxReadBytes, maxUploadPieces }: Limits): number {
  let chosen = pieceBytes;
  while (Math.ceil(size / chosen) > maxUploadPieces && chosen * 2 <= maxReadBytes) chosen *= 2;
  if (Math.ceil(size / chosen) <= maxUploadPieces) return chosen;
  throw new HoplineError('USAGE_INVALID', `an upload has at most ${chosen * maxUploadPieces} bytes, not ${size}`);
}
