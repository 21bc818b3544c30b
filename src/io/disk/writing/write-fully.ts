/** Chunks to a file, however little of them the system takes at a time. */

import type { FileHandle } from 'node:fs/promises';
import type { Chunk } from '../../legs/blocks.ts';
import { type DirectFile, dropBytes } from './direct-file.ts';

/**
 * Pieces of a file that are written at once: a write of four costs the disk's driver a half of what four cost, and a quarter of
 * the hand-overs between threads (docs/kernel-path.md).
 */
export const piecesAtOnce = 4;

/**
 * Writes chunks one behind the other from `position` on, what it can by way of `direct`, another way into the same file;
 * resolves to how many bytes they were.
 */
export async function writeFully(
  handle: FileHandle,
  direct: DirectFile | undefined,
  chunks: readonly Chunk[],
  position: number,
): Promise<number> {
  const buffers = chunks.map(({ bytes }) => bytes);
  const written = (await direct?.write(buffers, position)) ?? 0;
  let left = dropBytes(buffers, written);
  let at = position + written;
  while (left.length > 0) {
    const { bytesWritten } = await handle.writev(left, at);
    at += bytesWritten;
    left = dropBytes(left, bytesWritten);
  }
  return at - position;
}
