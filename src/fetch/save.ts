/**
 * An answer on its way to disk, and what an earlier run left of it.
 *
 * HTTP has no digests for parts of a file, so the pieces' own are made here, of
 * what arrived: they prove that the disk still holds it. That the server still has the
 * same file is proven by its validator, which is the version in the journal.
 * Invariant: bytes of two versions never come together in one file.
 * Rules: docs/http/client.md#going-on
 */

import path from 'node:path';
import type { Writable } from 'node:stream';
import { untilAborted } from '../core/clock.ts';
import { writeError } from '../core/system-errors.ts';
import type { HttpAnswer, RawFields } from '../http/exchange.ts';
import { fieldValue } from '../http/fields.ts';
import { availableDigests } from '../io/digests/digest.ts';
import { contentOf, readBooks } from '../io/disk/writing/journal.ts';
import { journalPath, partName } from '../io/disk/writing/part-names.ts';
import type { Reservation, Target, TargetContent } from '../io/disk/writing/target.ts';

/** The beginning of a file, from an earlier run. */
export interface Left {
  /** Bytes that need not be fetched again. */
  readonly offset: number;
  readonly content: TargetContent;
  readonly reservation: Reservation;
  /** What the server has to be asked about: the value for If-Range. */
  readonly version: string;
}

/** What `target` holds of `href` already; undefined if that is nothing. Takes hold of the part file. */
export async function findLeft(target: Target, href: string): Promise<Left | undefined> {
  if (target.path === null || target.maxPiecesEarly !== undefined) return undefined;
  const part = path.join(path.dirname(target.path), partName(path.basename(target.path)));
  const books = await readBooks(journalPath(part));
  const content = books && contentOf(books);
  if (content?.file !== href) return undefined;
  const { left, reservation } = await target.begin(content);
  const version = left.get(0)?.version;
  if (version === undefined) return undefined;
  let pieces = 1;
  while (left.get(pieces)?.version === version) pieces += 1;
  // The last one is asked for even if it is here: a range of nothing cannot be.
  const offset = Math.min(pieces * content.pieceBytes, lastPiece(content));
  return offset > 0 ? { offset, content, reservation, version } : undefined;
}

/** The fields that ask for what is missing, if it is still missing of the same file. */
export function rangeAfter(left: Left | undefined): RawFields {
  return left ? ['Range', `bytes=${left.offset}-`, 'If-Range', left.version] : [];
}

function lastPiece({ size, pieceBytes }: TargetContent): number {
  return Math.floor((size - 1) / pieceBytes) * pieceBytes;
}

/** Whether an answer is what is missing, of the same version. */
export function continues({ status, fields }: HttpAnswer, { offset, content, version }: Left): boolean {
  const range = `bytes ${offset}-${content.size - 1}/${content.size}`;
  const etag = fieldValue(fields, 'etag');
  if (status !== 206 || fieldValue(fields, 'content-range') !== range) return false;
  return !version.startsWith('"') || etag === undefined || etag === version;
}

export interface SaveOptions {
  readonly href: string;
  /** Bytes of the whole file, where they are known. */
  readonly size: number | undefined;
  readonly pieceBytes: number;
  /** Undefined where nothing may be kept for a later run. */
  readonly version: string | undefined;
  /** What is there already. */
  readonly left: Left | undefined;
  readonly onBegun: (reservation: Reservation) => void;
  /** Called with the bytes of the file that have arrived. */
  readonly onBytes: (bytes: number) => void;
}

/** Writes chunks behind what is left, and gives the file its name. Throws what `target` and `chunks` do. */
export async function saveBody(target: Target, chunks: AsyncIterable<Buffer>, options: SaveOptions): Promise<void> {
  const { href, size, left, onBytes } = options;
  const [digest] = availableDigests();
  const version = size === undefined ? undefined : options.version;
  const algorithm = version === undefined ? undefined : digest?.name;
  const fresh = { file: href, size: size ?? 0, pieceBytes: options.pieceBytes, algorithm };
  const { pieceBytes } = left?.content ?? fresh;
  const { reservation } = left ?? (await target.begin(fresh, true));
  options.onBegun(reservation);
  const vouch = (bytes: Buffer) => {
    const hasher = version === undefined ? undefined : digest?.start();
    hasher?.update(bytes);
    return hasher && version !== undefined ? { digest: hasher.digest(), version } : undefined;
  };
  let position = left?.offset ?? 0;
  let writing: Promise<void> = Promise.resolve();
  // One piece is written while the next is gathered.
  const write = async (bytes: Buffer) => {
    await writing;
    const chunk = { bytes, release: () => {} };
    const index = Math.floor(position / pieceBytes);
    writing = target.write({ index, position, chunks: [chunk], vouched: vouch(bytes) });
    writing.catch(() => {});
    position += bytes.length;
  };
  try {
    let gathered = position;
    const count = (bytes: number) => {
      gathered += bytes;
      onBytes(gathered);
    };
    for await (const piece of cut(chunks, pieceBytes, count)) await write(piece);
  } finally {
    await writing;
  }
  await target.commit();
}

/** Gives bytes to a stream that somebody else reads, as fast as they do. Settles when more may follow. Only the signal ends the wait for a reader that has stopped. Throws `DISK_FULL` or `DISK_FAILED`. */
export function writeAll(stream: Writable, bytes: Buffer, signal: AbortSignal): Promise<void> {
  const written = new Promise<void>((resolve, reject) => {
    stream.write(bytes, (cause) => {
      if (!cause) return resolve();
      reject(writeError('the output', cause));
    });
  });
  return untilAborted(written, signal);
}

/** Chunks as pieces of one size, the last one shorter. */
async function* cut(
  chunks: AsyncIterable<Buffer>,
  pieceBytes: number,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Buffer, void> {
  let piece = Buffer.allocUnsafeSlow(pieceBytes);
  let filled = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      const copied = chunk.copy(piece, filled, at);
      at += copied;
      filled += copied;
      if (filled < pieceBytes) continue;
      yield piece;
      piece = Buffer.allocUnsafeSlow(pieceBytes);
      filled = 0;
    }
    onBytes(chunk.length);
  }
  if (filled > 0) yield piece.subarray(0, filled);
}
