/**
 * A file on its way to disk: reserved for real, written beside its place, made visible by one rename.
 *
 * Owns `.NAME.part` and its journal, and the lock on them. Never overwrites without being told to, never follows a link at the target.
 * Invariant: until `commit` has settled the target is as before; a byte of the part file is right, or missing from the journal.
 * Rules: docs/resume.md#on-disk
 */

import { type FileHandle, unlink } from 'node:fs/promises';
import path from 'node:path';
import { HoplineError } from '../../../core/errors.ts';
import type { Signal } from '../../../core/signal.ts';
import { writeError } from '../../../core/system-errors.ts';
import type { DigestAlgorithm } from '../../digests/digest.ts';
import type { WholeDigest } from '../../digests/whole-digest.ts';
import { loadAlignedMemory } from '../../kernel/aligned-memory.ts';
import { loadDiskCalls } from '../../kernel/libc.ts';
import { makeDirectory } from '../directories.ts';
import { nodeCalls, type TargetCalls } from '../durable.ts';
import { checkReplaceable } from '../occupant.ts';
import { withoutOthers } from '../own-file.ts';
import { checkUncut, publish } from '../publish.ts';
import type { FileRange } from '../reading/read-blocks.ts';
import { digestOfRange, RangeReader } from '../reading/read-digest.ts';
import { reserve } from '../reserve.ts';
import { type Attributes, finishAttributes, ownerMode } from '../tree/attributes.ts';
import { DirectFile } from './direct-file.ts';
import { Journal, mayExist, readBooks } from './journal.ts';
import { ignoreGone, openPart } from './part.ts';
import { isDirectory, journalPath, partName } from './part-names.ts';
import { PartSyncs } from './part-syncs.ts';
import type { Begun, Piece, Target, TargetContent, Vouched } from './target.ts';
import { believe, speaksOf, speaksOfEarlier } from './trusted-pieces.ts';
import { piecesAtOnce, writeFully } from './write-fully.ts';

/** A smaller file costs little either way, and whoever downloaded it may read it soon. */
const minDirectBytes = 8 * 1024 * 1024;

export interface FileTargetOptions {
  /** Replaces a file that is there. */
  readonly force: boolean;
  /** The path by which the system comes to the target, which must hold until the target's end. @default its own */
  readonly way?: string;
  /** Goes on from what an earlier run left, and leaves it in turn. @default true */
  readonly resume?: boolean;
  /** What to do about pieces of a file of another size: remove them, or end with `FILE_CHANGED`. @default 'restart' */
  readonly onChange?: 'restart' | 'fail' | undefined;
  /** What the system offers beyond Node, and calls in the place of Node's. @default whatever there is */
  readonly calls?: Partial<TargetCalls>;
  /** Ends the reading of what an earlier run left; `begin` then throws its reason. */
  readonly signal?: Signal;
  /** Leaves it to the caller to make the name durable. @default false */
  readonly leavesDirectory?: boolean;
  /** Whether there is a file of that name, which will be replaced. */
  readonly replaces: boolean;
  /** There is a directory of that name, so that `begin` fails with `DISK_EXISTS`. @default false */
  readonly isTaken?: boolean;
  /** Is given what is written, and must be content before the file gets its name. */
  readonly whole?: WholeDigest;
  /** Makes the directory first. @default false */
  readonly makeDirectory?: boolean;
  /** What the file has when it gets its name. @default what the system gives to a new file */
  readonly attributes?: Attributes;
}

export class FileTarget implements Target {
  readonly path: string;
  replaces: boolean;
  readonly mayResume: boolean;
  readonly piecesAtOnce = piecesAtOnce;
  readonly #options: FileTargetOptions;
  readonly #calls: TargetCalls;
  readonly #way: string;
  readonly #part: string;
  readonly #syncs: PartSyncs;
  #content: TargetContent | undefined;
  #handle: FileHandle | undefined;
  /** Another way into the same file, taken for whole blocks. */
  #direct: DirectFile | undefined;
  #journal: Journal | undefined;
  /** What goes by the number of the open file, which must not be closed before it has ended. */
  #beginning: Promise<unknown> = Promise.resolve();
  /** Pieces of an earlier run, until there is a journal that lists them. */
  #left = 0;
  /** Bytes that the file must have: as many as were promised, or came where nothing was. */
  #size = 0;

  constructor(target: string, options: FileTargetOptions) {
    this.path = target;
    this.replaces = options.replaces;
    this.#options = options;
    this.#calls = { ...nodeCalls, ...(options.calls ?? loadDiskCalls()) };
    this.#way = options.way ?? target;
    this.#part = path.join(path.dirname(this.#way), partName(path.basename(target)));
    this.#syncs = new PartSyncs(this.#part, target, this.#calls);
    this.mayResume = options.resume !== false && mayExist(journalPath(this.#part));
  }

  async begin(content: TargetContent, startOver = false): Promise<Begun> {
    const begun = this.#begin(content, startOver);
    this.#beginning = begun.catch(() => {});
    return begun.catch((error) => {
      throw writeError(this.path, error);
    });
  }

  async write(...pieces: readonly Piece[]): Promise<void> {
    const position = pieces[0]?.position ?? 0;
    const chunks = pieces.flatMap((piece) => piece.chunks);
    try {
      if (!this.#handle) throw new HoplineError('INTERNAL', 'a piece came before its content');
      if (this.#syncs.failure) throw this.#syncs.failure;
      checkUncut(this.#handle, this.#size, this.path);
      this.#options.whole?.take(position, chunks);
      const book = ({ index, vouched }: Piece) => vouched && this.#journal?.addPiece(index, vouched);
      const bytes = await writeFully(this.#handle, this.#direct, pieces, book);
      this.#size = Math.max(this.#size, position + bytes);
      if (this.#journal) this.#syncs.wrote(bytes, this.#handle, this.#journal);
    } catch (error) {
      throw writeError(this.path, error);
    } finally {
      for (const chunk of chunks) chunk.release();
    }
  }

  async digestOf(range: FileRange, algorithm: DigestAlgorithm): Promise<string> {
    try {
      if (!this.#handle) throw new HoplineError('INTERNAL', 'a file was to be read that was never begun');
      return await digestOfRange(this.#handle, range, algorithm, this.#options.signal);
    } catch (error) {
      throw writeError(this.path, error);
    }
  }

  async commit(): Promise<void> {
    try {
      if (!this.#handle) throw new HoplineError('INTERNAL', 'a file was to be finished that was never begun');
      const handle = this.#handle;
      await this.#syncs.settle();
      const reader = new RangeReader(handle, this.#options.signal);
      await this.#options.whole?.finish(this.#size, (hasher) => reader.read(0, this.#size, [hasher]));
      const mode = await finishAttributes(handle, this.#options.attributes, this.#calls);
      await this.#syncs.sync(handle);
      // Under its name before the lock goes: whoever waits for it finds that the part file is no more.
      const finished = { handle, part: this.#part, way: this.#way, target: this.path, size: this.#size };
      this.replaces = await publish(finished, this.#options.force, this.#calls);
      if ((mode & ownerMode) !== ownerMode) await handle.chmod(mode);
      // Its journal too: one of that name that is removed later would be another writer's.
      await this.#journal?.remove();
      await this.#close();
      if (!this.#options.leavesDirectory) await this.#calls.syncDirectory(path.dirname(this.#way));
    } catch (error) {
      throw writeError(this.path, error);
    }
  }

  /** Gives the disk the space back that was set aside for bytes which have not come, where it can. Never throws. */
  async giveBack(missing: Iterable<readonly [position: number, bytes: number]>): Promise<void> {
    if (!this.#handle) return;
    for (const [position, bytes] of missing) await this.#calls.deallocate?.(this.#handle.fd, position, bytes);
  }

  async keep(): Promise<number> {
    await this.#beginning;
    if (!this.#handle) return 0;
    // What is being synced may still be lost.
    await this.#syncs.settle();
    const { count } = this.#journal ?? { count: this.#left };
    if (count === 0 || this.#syncs.failure || this.#options.resume === false) {
      await this.discard();
      return 0;
    }
    await this.#journal?.close();
    await this.#close();
    const { size = 0, pieceBytes = 0 } = this.#content ?? {};
    return Math.min(size, count * pieceBytes);
  }

  async discard(): Promise<void> {
    await this.#beginning;
    if (!this.#handle) return;
    await this.#journal?.close();
    await unlink(journalPath(this.#part)).catch(() => {});
    await unlink(this.#part).catch(() => {});
    await this.#close();
  }

  async #begin(content: TargetContent, startOver: boolean): Promise<Begun> {
    if (this.#options.isTaken) throw isDirectory(this.path);
    await checkReplaceable(this.#way, this.path);
    await this.#syncs.settle();
    await this.#journal?.close();
    this.#journal = undefined;
    const mayResume = this.mayResume || this.#content !== undefined;
    this.#content = content;
    this.#options.whole?.begin(content);
    if (this.#options.makeDirectory) await makeDirectory(path.dirname(this.path));
    const { size, pieceBytes, algorithm } = content;
    const journal = journalPath(this.#part);
    const handle = await this.#open(journal);
    const isKept = this.#options.resume !== false && algorithm !== undefined;
    // What another left since this one began is too late: whoever asked for `mayResume` has asked for the first piece.
    const { left, isChanged } = await this.#findLeft(handle, journal, content, isKept && !startOver && mayResume);
    this.#size = size;
    const reservation = await reserve(handle, size, { target: this.path, way: this.#way }, this.#calls.fallocate);
    // Only where the space has been set aside: then the disk is one that the system knows the blocks of.
    if (reservation === 'allocated' && size >= minDirectBytes)
      this.#direct ??= await DirectFile.open(handle, loadAlignedMemory());
    if (isKept && size > pieceBytes) this.#journal = await Journal.create(journal, content, left);
    return { reservation, left, isChanged };
  }

  async #open(journal: string): Promise<FileHandle> {
    this.#handle ??= await openPart(this.#part, {
      target: this.path,
      lock: this.#calls.lock,
      readOwner: async () => (await readBooks(journal))?.owner ?? 0,
      // Nobody may read more of an unfinished file than of the finished one, or write to it.
      mode: withoutOthers((this.#options.attributes?.mode ?? 0o666) | ownerMode),
    });
    return this.#handle;
  }

  /** The pieces that count. Without any, all of the earlier run goes. Throws `FILE_CHANGED` where that was not wanted. */
  async #findLeft(
    handle: FileHandle,
    journal: string,
    content: TargetContent,
    isWanted: boolean,
  ): Promise<{ left: Map<number, Vouched>; isChanged: boolean }> {
    let left = new Map<number, Vouched>();
    // Until it has been read it is kept, should somebody not wait for that, or the books be out of reach.
    if (isWanted) this.#left = 1;
    // Only now: until the part file was locked, another writer could add to them.
    const books = await readBooks(journal);
    if (isWanted) this.#left = books?.pieces.length ?? 0;
    const isChanged = isWanted && speaksOfEarlier(books, content, this.#options.onChange);
    if (books && isWanted && speaksOf(books, content)) {
      // Whoever wrote may have gone before the system could tell it of a failure.
      await this.#syncs.datasync(handle);
      left = await believe(books, content, handle, this.#options);
    }
    this.#left = left.size;
    // Gone for good before the bytes that it speaks of.
    if (left.size === 0 && books) {
      await unlink(journal).catch(ignoreGone);
      await this.#calls.syncDirectory(path.dirname(journal));
    }
    if (left.size === 0) await handle.truncate(0);
    return { left, isChanged };
  }

  async #close(): Promise<void> {
    await this.#syncs.settle();
    await this.#direct?.close().catch(() => {});
    this.#direct = undefined;
    await this.#handle?.close().catch(() => {});
    this.#handle = undefined;
  }
}
