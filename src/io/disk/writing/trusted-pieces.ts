/**
 * Which pieces of an earlier run are on the disk as its journal says.
 *
 * Every piece is read back and compared with the digest in the journal. The writer of a journal could have written any
 * bytes with their digests: whether they are the right ones, only the origin can say.
 */

import type { FileHandle } from 'node:fs/promises';
import { HoplineError } from '../../../core/errors.ts';
import type { Signal } from '../../../core/signal.ts';
import { availableDigests, type Hasher } from '../../digests/digest.ts';
import type { WholeDigest } from '../../digests/whole-digest.ts';
import { RangeReader } from '../reading/read-digest.ts';
import { type Books, contentOf } from './journal.ts';
import type { TargetContent, Vouched } from './target.ts';

/** Whether the books are of this content, by whichever algorithm. */
export function speaksOf(books: Books, { file, size, pieceBytes }: TargetContent): boolean {
  const booked = contentOf(books);
  return booked?.file === file && booked.size === size && booked.pieceBytes === pieceBytes;
}

/** Whether the books are of a file of this name that had another size. Throws `FILE_CHANGED` where that is to be an end. */
export function speaksOfEarlier(
  books: Books | undefined,
  { file, size }: TargetContent,
  onChange?: 'restart' | 'fail',
): boolean {
  const booked = books && contentOf(books);
  if (booked?.file !== file || booked.size === size || books?.pieces.length === 0) return false;
  if (onChange !== 'fail') return true;
  throw new HoplineError('FILE_CHANGED', `"${file}" is not the same as what was fetched of it before`);
}

/**
 * The pieces that the file holds with the digest that the books have for them, each with its digest by the content's
 * algorithm. `whole` is given what is read, as long as it is the beginning of the file. Throws the signal's reason, or what the system says.
 */
export async function believe(
  books: Books,
  content: TargetContent,
  handle: FileHandle,
  { signal, whole }: { readonly signal?: Signal | undefined; readonly whole?: WholeDigest | undefined },
): Promise<Map<number, Vouched>> {
  const left = new Map<number, Vouched>();
  const find = (wanted: TargetContent | undefined) => availableDigests().find(({ name }) => name === wanted?.algorithm);
  const [algorithm, booked] = [find(content), find(contentOf(books))];
  if (!speaksOf(books, content) || !algorithm || !booked) return left;
  const { size, pieceBytes } = content;
  // Of a piece that was written twice, the last word counts.
  const pieces = new Map(books.pieces.map((piece) => [piece.index, piece]));
  const reader = new RangeReader(handle, signal);
  for (const { index, ...vouched } of [...pieces.values()].sort((a, b) => a.index - b.index)) {
    const start = index * pieceBytes;
    const end = Math.min(size, start + pieceBytes);
    const hasher = booked.start();
    const other = booked.name === algorithm.name ? undefined : algorithm.start();
    const followed = follow(whole, start);
    const hashers = [hasher, ...(other ? [other] : []), ...followed];
    const isTrue = start < end && (await reader.read(start, end, hashers)) && hasher.digest() === vouched.digest;
    if (isTrue) left.set(index, other ? { ...vouched, digest: other.digest() } : vouched);
    else if (followed.length > 0) whole?.forget();
  }
  return left;
}

/** What gives `whole` the bytes that are read from `start` on, if they are what it awaits. */
function follow(whole: WholeDigest | undefined, start: number): readonly Pick<Hasher, 'update'>[] {
  if (whole?.awaits !== start) return [];
  let position = start;
  const update = (bytes: Buffer) => {
    whole.take(position, [{ bytes }]);
    position += bytes.length;
  };
  return [{ update }];
}
