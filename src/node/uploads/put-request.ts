/**
 * What a PUT says of its file: the cut, which must be within the limits, and what a target needs to know of it.
 *
 * Does not know where the file goes.
 */

import { HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { DigestName } from '../../io/digests/digest.ts';
import type { TargetContent } from '../../io/disk/writing/target.ts';
import type { RequestOf } from '../../wire/native/messages.ts';

export type PutRequest = RequestOf<'put'>;

const minPieceBytes = 1024;

/** Throws `PEER_PROTOCOL`. */
export function checkCut(put: PutRequest, { maxReadBytes, maxUploadPieces }: Limits): void {
  const { pieceBytes } = put;
  if (pieceBytes < minPieceBytes || pieceBytes > maxReadBytes) {
    throw new HoplineError('PEER_PROTOCOL', `a PUT cuts its file into pieces of ${pieceBytes} bytes`);
  }
  if (countPieces(put) <= maxUploadPieces) return;
  throw new HoplineError('PEER_PROTOCOL', `a PUT cuts its file into more than ${maxUploadPieces} pieces`);
}

export function countPieces({ size, pieceBytes }: PutRequest): number {
  return Math.ceil(size / pieceBytes);
}

/** Bytes of piece `index`. Throws `PEER_PROTOCOL` if there is no such piece. */
export function lengthOfPiece(put: PutRequest, index: number): number {
  const pieces = countPieces(put);
  if (index < pieces) return Math.min(put.pieceBytes, put.size - index * put.pieceBytes);
  throw new HoplineError('PEER_PROTOCOL', `a WRITE is for piece ${index} of ${pieces}`);
}

/** `name`: that of the file, without what does not matter in it. */
export function contentOfPut({ size, pieceBytes }: PutRequest, name: string, algorithm: DigestName): TargetContent {
  return { file: name, size, pieceBytes, algorithm };
}
