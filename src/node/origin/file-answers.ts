/**
 * The answers to STAT, READ and DIGEST: one open file for a circuit, its pieces and their digests.
 *
 * A piece whose digest is known is not hashed again, and where there is a kernel
 * path it does not pass through this process either.
 * Invariant: a digest is remembered only if the bytes are for certain those of the version.
 */

import { HoplineError } from '../../core/errors.ts';
import type { Tasks } from '../../core/work/tasks.ts';
import { chooseDigest, type DigestAlgorithm, type Hasher } from '../../io/digests/digest.ts';
import type { FileRange } from '../../io/disk/reading/read-blocks.ts';
import { changed, type VersionedFile } from '../../io/disk/reading/versioned-file.ts';
import { encodeMessage, type RequestOf } from '../../wire/native/messages.ts';
import type { NodeContext } from '../context.ts';
import type { ContentWriter, FramedRange } from './content-writer.ts';
import type { PieceDigests } from './digest-cache.ts';
import type { Outbox } from './outbox.ts';

interface OpenFile {
  readonly served: VersionedFile;
  readonly digest: DigestAlgorithm;
  readonly digests: PieceDigests;
  /** The first piece that was not asked for yet. */
  nextPiece: number;
}

/** What a request names of the open file, cut to what the file has. */
interface Range extends FileRange {
  readonly file: OpenFile;
  /** The number of the piece that the range is, or undefined if it is not exactly one. */
  readonly piece: number | undefined;
}

/** The range of one READ. */
interface ReadRange extends Range {
  /** That of the piece, where it is known and need not be taken. */
  readonly digest: string | undefined;
  /** The frame that goes ahead of it. */
  readonly data: Buffer;
  /** The READ behind it, where its own stands for several. */
  readonly then: RequestOf<'read'> | undefined;
}

interface KnownRange extends ReadRange {
  readonly digest: string;
}

/** A range that follows another; its head is all frames between the two. */
interface PlannedRange extends FramedRange {
  readonly range: KnownRange;
}

/** Frames of so many pieces are made in one go: behind each wake-up, the code that makes them would have to come from memory first. */
const plannedPieces = 32;

interface FileAnswersOptions {
  readonly node: NodeContext;
  readonly outbox: Outbox;
  readonly content: ContentWriter;
  /** Files on their way to being closed: no answer waits for that. */
  readonly closing: Tasks;
}

export class FileAnswers {
  readonly #options: FileAnswersOptions;
  #file: OpenFile | undefined;
  files = 0;
  bytes = 0;

  constructor(options: FileAnswersOptions) {
    this.#options = options;
  }

  close(): void {
    const file = this.#file;
    this.#file = undefined;
    if (!file) return;
    this.#options.node.digestCache.done(file.digests);
    this.#options.closing.add(file.served.close());
  }

  async stat({ digests }: RequestOf<'stat'>, opening: Promise<VersionedFile>): Promise<void> {
    const { node, outbox, closing } = this.#options;
    const { pieceBytes } = node.limits;
    this.close();
    const digest = chooseDigest(node.digests, digests);
    if (!digest) {
      closing.add(opening.then((served) => served.close()));
      throw new HoplineError('PEER_PROTOCOL', 'the client checks none of the digests that this node has');
    }
    const served = await opening;
    const { size, version, mtimeNs, mode } = served;
    const key = { version, algorithm: digest.name, pieceBytes, pieces: Math.ceil(size / pieceBytes) };
    this.#file = { served, digest, digests: await node.digestCache.open(key), nextPiece: 0 };
    this.files += 1;
    node.metrics.files += 1;
    const status = { size, version, pieceBytes, digest: digest.name, mtimeNs: String(mtimeNs), mode };
    await outbox.append(encodeMessage({ type: 'status', ...status }));
  }

  /**
   * Resolves to the READ that comes next where this one stands for several. Pieces behind it whose digests are known may go out
   * with it, each once `check` has not thrown.
   */
  async read(request: RequestOf<'read'>, check: () => void): Promise<RequestOf<'read'> | undefined> {
    const { node, outbox, content } = this.#options;
    const { clock, metrics } = node;
    const began = clock.now();
    const range = this.#readRange(request);
    await outbox.append(range.data);
    metrics.firstByteSeconds.observe((clock.now() - began) / 1000);
    if (isKnown(range)) return this.#sendKnown(range, check);
    const digest = await takeDigest(range, (see) => content.sendSeen(range.file.served, range, see));
    this.#count(range);
    await outbox.append(encodeMessage({ type: 'end', digest }));
    return range.then;
  }

  /** All in one go, as far as digests are known: the next piece begins right behind the last byte of the one before. */
  async #sendKnown(first: KnownRange, check: () => void): Promise<RequestOf<'read'> | undefined> {
    const { outbox, content } = this.#options;
    let range = first;
    let planned: readonly PlannedRange[] = [];
    let place = 0;
    await content.send(first.file.served, first, () => {
      if (place === planned.length) {
        planned = this.#plan(range);
        place = 0;
      }
      const following = planned[place];
      if (!following) return undefined;
      check();
      this.#count(range);
      range = following.range;
      place += 1;
      return following;
    });
    this.#count(range);
    await outbox.append(encodeMessage({ type: 'end', digest: range.digest }));
    return range.then;
  }

  /** What follows right behind a range, as far as digests are known. */
  #plan(range: KnownRange): readonly PlannedRange[] {
    const planned: PlannedRange[] = [];
    for (let last = range; planned.length < plannedPieces; ) {
      const following = last.then && this.#readRange(last.then);
      if (!following || !isKnown(following)) break;
      const end = encodeMessage({ type: 'end', digest: last.digest });
      const head = Buffer.concat([end, following.data]);
      planned.push({ range: following, offset: following.offset, length: following.length, head });
      last = following;
    }
    return planned;
  }

  async digest(request: RequestOf<'digest'>): Promise<void> {
    const { node, outbox } = this.#options;
    const range = this.#range(request);
    const { file, length, piece } = range;
    let digest = piece === undefined ? undefined : file.digests.get(piece);
    if (digest !== undefined) file.served.check();
    else
      digest = await takeDigest(range, async (see) => {
        const block = Buffer.allocUnsafeSlow(Math.min(length, node.limits.maxBlockBytes));
        for await (const part of file.served.blocks(range, block)) see(part);
      });
    await outbox.append(encodeMessage({ type: 'end', digest }));
  }

  /** Throws as `#range`. */
  #readRange(request: RequestOf<'read'>): ReadRange {
    const range = this.#range(request);
    const { file, offset, length, piece } = range;
    // A piece that is asked for again did not match: the digest is taken anew, should it be the wrong one.
    const digest = piece !== undefined && piece >= file.nextPiece ? file.digests.get(piece) : undefined;
    const asked = request.more ?? 0;
    const more = piece === undefined ? 0 : Math.min(asked, file.digests.key.pieces - piece - 1);
    const data = encodeMessage(asked > 0 ? { type: 'data', offset, length, more } : { type: 'data', offset, length });
    const { version } = request;
    const then: RequestOf<'read'> | undefined =
      more > 0 ? { type: 'read', offset: offset + length, length: request.length, version, more: more - 1 } : undefined;
    return { file, offset, length, piece, digest, data, then };
  }

  /** All of a range has left. */
  #count(range: ReadRange): void {
    const { file, piece, length } = range;
    const { metrics } = this.#options.node;
    if (piece !== undefined) {
      file.nextPiece = Math.max(file.nextPiece, piece + 1);
      metrics[isKnown(range) ? 'piecesCached' : 'piecesHashed'] += 1;
    }
    this.bytes += length;
  }

  /** Throws `PEER_PROTOCOL`, `FILE_NOT_FOUND`, `FILE_CHANGED`. */
  #range({ offset, length: asked, version }: RequestOf<'read'> | RequestOf<'digest'>): Range {
    const { maxReadBytes } = this.#options.node.limits;
    if (asked > maxReadBytes)
      throw new HoplineError('PEER_PROTOCOL', `a READ asks for more than ${maxReadBytes} bytes`);
    const file = this.#file;
    if (!file) throw new HoplineError('FILE_NOT_FOUND', 'no file is open on this circuit');
    const { size, version: opened } = file.served;
    if (version !== undefined && version !== opened) throw changed();
    const length = Math.max(0, Math.min(size - offset, asked));
    const { pieceBytes } = file.digests.key;
    const isPiece = offset % pieceBytes === 0 && length > 0 && length === Math.min(pieceBytes, size - offset);
    return { file, offset, length, piece: isPiece ? offset / pieceBytes : undefined };
  }
}

function isKnown(range: ReadRange): range is KnownRange {
  return range.digest !== undefined;
}

/** The digest of what `read` shows, remembered where it is that of a piece. */
async function takeDigest(
  { file, piece, length }: Range,
  read: (see: (block: Buffer) => void) => Promise<void>,
): Promise<string> {
  const { isSettled } = file.served;
  let only: Buffer | undefined;
  let hasher: Hasher | undefined;
  await read((block) => {
    // One that is alone is hashed at once, which costs a quarter.
    if (block.length === length) only = file.digest.digestOf(block);
    else {
      hasher ??= file.digest.start();
      hasher.update(block);
    }
  });
  const digest = only?.toString('hex') ?? (hasher ?? file.digest.start()).digest();
  if (piece !== undefined && isSettled) file.digests.set(piece, digest);
  return digest;
}
