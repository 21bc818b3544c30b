/** What of an earlier run's books is true: the line between what a file is said to hold and what it holds. */

import type { FileHandle } from 'node:fs/promises';
import { availableDigests } from '../digest.ts';
import { type Books, headerOf } from './journal.ts';
import type { Content, Vouched } from './target.ts';

/** The pieces of an earlier run that are right: booked as synced, or read back and found to be what they should. */
export async function believe(books: Books, content: Content, handle: FileHandle): Promise<Map<number, Vouched>> {
  const { size, pieceBytes } = content;
  const left = new Map<number, Vouched>();
  const algorithm = availableDigests().find(({ name }) => name === content.algorithm);
  // Blocks that were never written read as zeros, but a file that was cut short cannot hold what its journal says.
  if (books.header !== headerOf(content) || !algorithm || (await handle.stat()).size < size) return left;
  const buffer = Buffer.allocUnsafeSlow(pieceBytes);
  for (const [place, { index, digest, version }] of books.pieces.entries()) {
    const length = Math.min(pieceBytes, size - index * pieceBytes);
    if (!(length > 0)) continue;
    if (place >= books.synced) {
      const { bytesRead } = await handle.read(buffer, 0, length, index * pieceBytes);
      const hasher = algorithm.start();
      hasher.update(buffer.subarray(0, bytesRead));
      if (bytesRead !== length || hasher.digest() !== digest) {
        left.delete(index);
        continue;
      }
    }
    left.set(index, { digest, version });
  }
  return left;
}
