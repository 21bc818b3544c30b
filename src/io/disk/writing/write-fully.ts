/** Pieces to a file, however little of them the system takes at a time. */

import type { FileHandle } from 'node:fs/promises';
import { type DirectFile, dropBytes } from './direct-file.ts';
import type { Piece } from './target.ts';

/**
 * Pieces of a file that are written at once: a write of four costs the disk's driver a half of what four cost, and a quarter of
 * the hand-overs between threads (docs/performance.md).
 */
export const piecesAtOnce = 4;

/**
 * Writes pieces one behind the other, what it can by way of `direct`, another way into the same file; resolves to how many bytes
 * they are. Tells `onWritten` of each that is with the system, also where the next one fails. Throws what the system says.
 */
export async function writeFully(
  handle: FileHandle,
  direct: DirectFile | undefined,
  pieces: readonly Piece[],
  onWritten: (piece: Piece) => void,
): Promise<number> {
  const buffers = pieces.flatMap(({ chunks }) => chunks.map(({ bytes }) => bytes));
  const ends = pieces.map(endOf);
  const position = pieces[0]?.position ?? 0;
  let left = dropBytes(buffers, 0);
  let at = position;
  let told = 0;
  for (;;) {
    for (; told < pieces.length && (ends[told] as number) <= at; told += 1) onWritten(pieces[told] as Piece);
    if (left.length === 0) return at - position;
    const count = (await direct?.write(left, at)) || (await handle.writev(left, at)).bytesWritten;
    at += count;
    left = dropBytes(left, count);
  }
}

function endOf({ position, chunks }: Piece): number {
  return chunks.reduce((end, { bytes }) => end + bytes.length, position);
}
