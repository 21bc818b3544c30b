/**
 * A file on its way to disk: reserved for real, written beside its place, made visible by one rename.
 *
 * Owns `.NAME.part` and its journal, and the lock on them. Never overwrites
 * without being told to, never follows a link at the target, never leaves a
 * wrong file under the final name.
 * Invariant: until `commit` has settled, the target is as it was before; and a
 * byte of the part file is either right or missing from the journal.
 * Rules: docs/resume.md#on-disk
 */

import { existsSync } from 'node:fs';
import { type FileHandle, link, lstat, rename, statfs, unlink } from 'node:fs/promises';
import { constants as os } from 'node:os';
import path from 'node:path';
import { HoplineError, systemCode } from '../../core/errors.ts';
import { type DiskCalls, loadAllocateAligned, loadDiskCalls } from '../kernel/libc.ts';
import { type Attributes, setAttributes } from './attributes.ts';
import { believe } from './believe.ts';
import { DirectFile } from './direct-file.ts';
import { Journal, readBooks } from './journal.ts';
import { diskError, exists, journalPath, partName, syncDirectory } from './names.ts';
import { openPart } from './part.ts';
import type { Begun, Content, Piece, Reservation, Target, Vouched } from './target.ts';
import { writeFully } from './write-fully.ts';

/** Bytes between two syncs: what a power cut may cost, and about what a disk takes in half a second. */
const syncBytes = 64 * 1024 * 1024;

/** A smaller file costs little either way, and whoever downloaded it may read it soon. */
const minDirectBytes = 8 * 1024 * 1024;

/** What a file needs so that whoever made it can go on writing it. */
const ownerMode = 0o600;

export interface FileTargetOptions {
  /** Replaces a file that is there. */
  readonly force: boolean;
  /** The path by which the system comes to the target, which must hold until the target's end. @default its own */
  readonly way?: string;
  /** Goes on from what an earlier run left, and leaves it in turn. @default true */
  readonly resume?: boolean;
  /** What the system offers beyond Node. @default whatever there is */
  readonly calls?: DiskCalls;
  /** Leaves it to the caller to make the name durable. @default false */
  readonly leavesDirectory?: boolean;
  /** Whether there is a file of that name, which will be replaced. */
  readonly replaces: boolean;
  /** There is a directory of that name, so that `begin` fails with `DISK_EXISTS`. @default false */
  readonly isTaken?: boolean;
  /** Makes the directory first. @default false */
  readonly makeDirectory?: boolean;
  /** What the file has when it gets its name. @default what the system gives to a new file */
  readonly attributes?: Attributes;
}

export class FileTarget implements Target {
  readonly path: string;
  readonly replaces: boolean;
  readonly mayResume: boolean;
  readonly #options: FileTargetOptions;
  readonly #calls: DiskCalls;
  /** Where the target is for the system. */
  readonly #way: string;
  readonly #part: string;
  #content: Content | undefined;
  #handle: FileHandle | undefined;
  /** Another way into the same file, taken for whole blocks. */
  #direct: DirectFile | undefined;
  #journal: Journal | undefined;
  /** Pieces of an earlier run, until there is a journal that lists them. */
  #left = 0;
  #unsyncedBytes = 0;
  #syncing: Promise<void> | undefined;

  constructor(target: string, options: FileTargetOptions) {
    this.path = target;
    this.replaces = options.replaces;
    this.#options = options;
    this.#calls = options.calls ?? loadDiskCalls();
    this.#way = options.way ?? target;
    this.#part = path.join(path.dirname(this.#way), partName(path.basename(target)));
    this.mayResume = options.resume !== false && existsSync(journalPath(this.#part));
  }

  async begin(content: Content, startOver = false): Promise<Begun> {
    try {
      return await this.#begin(content, startOver);
    } catch (error) {
      throw diskError(this.path, error);
    }
  }

  async write({ index, position, chunks, vouched }: Piece): Promise<void> {
    try {
      if (!this.#handle) throw new HoplineError('INTERNAL', 'a piece came before its content');
      const bytes = await writeFully(this.#handle, this.#direct, chunks, position);
      if (vouched) this.#journal?.addPiece(index, vouched);
      this.#unsyncedBytes += bytes;
      if (this.#journal && this.#unsyncedBytes >= syncBytes) this.#syncing ??= this.#sync(this.#handle, this.#journal);
    } catch (error) {
      throw diskError(this.path, error);
    } finally {
      for (const chunk of chunks) chunk.release();
    }
  }

  async commit(): Promise<void> {
    try {
      await this.#syncing;
      const { attributes } = this.#options;
      const mode = attributes?.mode ?? ownerMode;
      // A part file that its owner could not open would be in the way of a later run.
      if (attributes && this.#handle) {
        await setAttributes(this.#handle, { ...attributes, mode: mode | ownerMode }, this.#calls);
      }
      await this.#handle?.sync();
      // Under its name before the lock goes: whoever waits for it finds that the part file is no more.
      await this.#publish();
      if ((mode & ownerMode) !== ownerMode) await this.#handle?.chmod(mode);
      // Its journal too: one of that name that is removed later would be another writer's.
      await this.#journal?.remove();
      await this.#close();
      if (!this.#options.leavesDirectory) await syncDirectory(path.dirname(this.#way));
    } catch (error) {
      throw diskError(this.path, error);
    }
  }

  async keep(): Promise<number> {
    if (!this.#handle) return 0;
    const { count } = this.#journal ?? { count: this.#left };
    if (count === 0 || this.#options.resume === false) {
      await this.discard();
      return 0;
    }
    // What is being synced is still to be booked.
    await this.#syncing;
    await this.#journal?.close();
    await this.#close();
    const { size = 0, pieceBytes = 0 } = this.#content ?? {};
    return Math.min(size, count * pieceBytes);
  }

  async discard(): Promise<void> {
    if (!this.#handle) return;
    await this.#journal?.close();
    await unlink(journalPath(this.#part)).catch(() => {});
    await unlink(this.#part).catch(() => {});
    await this.#close();
  }

  async #begin(content: Content, startOver: boolean): Promise<Begun> {
    if (this.#options.isTaken) throw new HoplineError('DISK_EXISTS', `${this.path} is a directory`);
    await this.#syncing;
    await this.#journal?.close();
    this.#content = content;
    if (this.#options.makeDirectory) await (await import('fs-extra/esm')).ensureDir(path.dirname(this.path));
    const { size, pieceBytes, algorithm } = content;
    const journal = journalPath(this.#part);
    const readOwner = async () => (await readBooks(journal))?.owner ?? 0;
    // Nobody may read more of an unfinished file than of the finished one.
    const mode = (this.#options.attributes?.mode ?? 0o666) | ownerMode;
    this.#handle ??= await openPart(this.#part, this.path, this.#calls.lock, readOwner, mode);
    // Only now: until the part file was locked, another writer could add to them.
    const books = await readBooks(journal);
    const isResumable = algorithm !== undefined && size > pieceBytes;
    const isWanted = isResumable && this.#options.resume !== false;
    const left =
      books && isWanted && !startOver ? await believe(books, content, this.#handle) : new Map<number, Vouched>();
    this.#journal = undefined;
    this.#left = left.size;
    this.#unsyncedBytes = 0;
    if (left.size === 0) await this.#empty(this.#handle, books !== undefined);
    else await this.#handle.datasync();
    const reservation = await this.#reserve(size, this.#handle);
    // Only where the space has been set aside: then the disk is one that the system knows the blocks of.
    if (reservation === 'allocated' && size >= minDirectBytes) {
      this.#direct ??= await DirectFile.open(this.#handle, loadAllocateAligned());
    }
    if (isWanted) this.#journal = await Journal.create(journal, content, left);
    return { reservation, left };
  }

  /** A journal must be gone for good before the bytes that it vouches for: zeros would be believed in their place. */
  async #empty(handle: FileHandle, hasJournal: boolean): Promise<void> {
    if (hasJournal) {
      await unlink(journalPath(this.#part));
      await syncDirectory(path.dirname(this.#part));
    }
    await handle.truncate(0);
  }

  async #reserve(size: number, handle: FileHandle): Promise<Reservation> {
    await this.#checkSpace(size, handle);
    if (size === 0) return 'none';
    const errno = (await this.#calls.fallocate?.(handle.fd, size)) ?? os.errno.ENOSYS;
    if (errno !== 0) {
      if (errno === os.errno.ENOSPC || errno === os.errno.EDQUOT) throw this.#full(size);
      await handle.truncate(size);
    }
    return errno === 0 ? 'allocated' : 'sparse';
  }

  /** What is reserved already is not needed once more. */
  async #checkSpace(size: number, handle: FileHandle): Promise<void> {
    const disk = await statfs(path.dirname(this.#way));
    // A file system without a size of its own (ramfs, some network mounts) reports no blocks at all.
    if (disk.blocks === 0) return;
    const { blocks = 0 } = await handle.stat();
    const needed = size - blocks * 512;
    const free = disk.bavail * disk.bsize;
    if (free < needed) throw this.#full(needed, free);
  }

  async #sync(handle: FileHandle, journal: Journal): Promise<void> {
    const { count } = journal;
    this.#unsyncedBytes = 0;
    // What cannot be synced is not believed by a later run; whether it is on disk, `commit` will say.
    await handle.datasync().then(
      () => journal.addSynced(count),
      () => {},
    );
    this.#syncing = undefined;
  }

  async #close(): Promise<void> {
    await this.#syncing;
    await this.#direct?.close().catch(() => {});
    this.#direct = undefined;
    await this.#handle?.close().catch(() => {});
    this.#handle = undefined;
  }

  /** Without `force` a link is made instead of a rename, since that fails if someone created the target meanwhile. */
  async #publish(): Promise<void> {
    if (this.#options.force) return rename(this.#part, this.#way);
    try {
      await link(this.#part, this.#way);
    } catch (error) {
      if (systemCode(error) === 'EEXIST') throw exists(this.path);
      if (await lstat(this.#way).catch(() => undefined)) throw exists(this.path);
      return rename(this.#part, this.#way);
    }
    // One that stays is no harm: whoever opens it sees that it is a file already.
    await unlink(this.#part).catch(() => {});
  }

  #full(size: number, free?: number): HoplineError {
    const has = free === undefined ? 'it has not' : `it has ${free}`;
    const message = `the disk of ${path.dirname(this.path)} needs ${size} bytes free; ${has}`;
    return new HoplineError('DISK_FULL', message, { reason: 'ENOSPC' });
  }
}
