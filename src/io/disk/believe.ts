/**
 * What of an earlier run's books is true: the line between what a file is said to hold and what it holds.
 *
 * Every piece is read back. The digests are those of the books, so whoever wrote
 * them could have written any bytes: whether they are the right ones, the origin must say.
 */

import type { FileHandle } from 'node:fs/promises';
import { availableDigests } from '../digest.ts';
import { type Books, headerOf } from './journal.ts';
import { RangeReader } from './read-digest.ts';
import type { Content, Vouched } from './target.ts';

/** Whether the books are of this content. */
export function speaksOf(books: Books, content: Content): boolean {
  return books.header === headerOf(content);
}

/** The pieces that the file holds with the digest that the books have for them. Throws the signal's reason, or what the system says. */
export async function believe(
  books: Books,
  content: Content,
  handle: FileHandle,
  signal?: AbortSignal,
): Promise<Map<number, Vouched>> {
  const left = new Map<number, Vouched>();
  const algorithm = availableDigests().find(({ name }) => name === content.algorithm);
  if (!speaksOf(books, content) || !algorithm) return left;
  const { size, pieceBytes } = content;
  // Of a piece that was written twice, the last word counts.
  const pieces = new Map(books.pieces.map((piece) => [piece.index, piece]));
  const reader = new RangeReader(handle, signal);
  for (const { index, digest, version } of pieces.values()) {
    const start = index * pieceBytes;
    const end = Math.min(size, start + pieceBytes);
    const hasher = algorithm.start();
    const isWhole = start < end && (await reader.read(start, end, [hasher]));
    if (isWhole && hasher.digest() === digest) left.set(index, { digest, version });
  }
  return left;
}
