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
import type { ContentWriter } from './content-writer.ts';
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

  /** Resolves to the READ that comes next where this one stands for several. */
  async read(request: RequestOf<'read'>): Promise<RequestOf<'read'> | undefined> {
    const { node, outbox, content } = this.#options;
    const { clock, metrics } = node;
    const began = clock.now();
    const range = this.#range(request);
    const { file, offset, length, piece } = range;
    // A piece that is asked for again did not match: the digest is taken anew, should it be the wrong one.
    let digest = piece !== undefined && piece >= file.nextPiece ? file.digests.get(piece) : undefined;
    if (piece !== undefined) file.nextPiece = Math.max(file.nextPiece, piece + 1);
    const asked = request.more ?? 0;
    const more = piece === undefined ? 0 : Math.min(asked, file.digests.key.pieces - piece - 1);
    await outbox.append(encodeMessage({ type: 'data', offset, length, ...(asked > 0 ? { more } : {}) }));
    metrics.firstByteSeconds.observe((clock.now() - began) / 1000);
    if (piece !== undefined) metrics[digest === undefined ? 'piecesHashed' : 'piecesCached'] += 1;
    if (digest !== undefined) await content.send(file.served, range);
    else digest = await takeDigest(range, (see) => content.sendSeen(file.served, range, see));
    await outbox.append(encodeMessage({ type: 'end', digest }));
    this.bytes += length;
    return more > 0 ? { ...request, offset: offset + length, more: more - 1 } : undefined;
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
