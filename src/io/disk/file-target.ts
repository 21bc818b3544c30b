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

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type FileHandle, link, lstat, rename, statfs, unlink } from 'node:fs/promises';
import { constants as os } from 'node:os';
import path from 'node:path';
import { HoplineError, systemCode } from '../../core/errors.ts';
import type { Chunk } from '../blocks.ts';
import { availableDigests } from '../digest.ts';
import { type DiskCalls, loadDiskCalls } from '../kernel/libc.ts';
import { type Books, headerOf, Journal, readBooks } from './journal.ts';
import { exists, syncDirectory } from './names.ts';
import { openPart } from './part.ts';
import type { Begun, Content, Piece, Reservation, Target, Vouched } from './target.ts';

/** Bytes between two syncs: what a power cut may cost, and about what a disk takes in half a second. */
const syncBytes = 64 * 1024 * 1024;

export interface FileTargetOptions {
  /** Replaces a file that is there. */
  readonly force: boolean;
  /** Goes on from what an earlier run left, and leaves it in turn. @default true */
  readonly resume?: boolean;
  /** What the system offers beyond Node. @default whatever there is */
  readonly calls?: DiskCalls;
  /** Leaves it to the caller to make the name durable. @default false */
  readonly leavesDirectory?: boolean;
  /** Whether there is a file of that name, which will be replaced. */
  readonly replaces: boolean;
  /** Makes the directory first. @default false */
  readonly makeDirectory?: boolean;
}

export class FileTarget implements Target {
  readonly path: string;
  readonly replaces: boolean;
  readonly mayResume: boolean;
  readonly #options: FileTargetOptions;
  readonly #calls: DiskCalls;
  readonly #part: string;
  #content: Content | undefined;
  #handle: FileHandle | undefined;
  #journal: Journal | undefined;
  #unsyncedBytes = 0;
  #syncing: Promise<void> | undefined;

  constructor(target: string, options: FileTargetOptions) {
    this.path = target;
    this.replaces = options.replaces;
    this.#options = options;
    this.#calls = options.calls ?? loadDiskCalls();
    this.#part = path.join(path.dirname(target), partName(path.basename(target)));
    this.mayResume = options.resume !== false && existsSync(journalPath(this.#part));
  }

  async begin(content: Content, startOver = false): Promise<Begun> {
    try {
      return await this.#begin(content, startOver);
    } catch (error) {
      throw this.#diskError(error);
    }
  }

  async write({ index, position, chunks, vouched }: Piece): Promise<void> {
    try {
      if (!this.#handle) throw new HoplineError('INTERNAL', 'a piece came before its content');
      const bytes = await writeFully(this.#handle, chunks, position);
      if (vouched) this.#journal?.addPiece(index, vouched);
      this.#unsyncedBytes += bytes;
      if (this.#journal && this.#unsyncedBytes >= syncBytes) this.#syncing ??= this.#sync(this.#handle, this.#journal);
    } catch (error) {
      throw this.#diskError(error);
    } finally {
      for (const chunk of chunks) chunk.release();
    }
  }

  async commit(): Promise<void> {
    try {
      await this.#syncing;
      await this.#handle?.sync();
      // Under its name before the lock goes: whoever waits for it finds that the part file is no more.
      await this.#publish();
      await this.#close();
      await this.#journal?.remove();
      if (!this.#options.leavesDirectory) await syncDirectory(path.dirname(this.path));
    } catch (error) {
      throw this.#diskError(error);
    }
  }

  async keep(): Promise<number> {
    const { count = 0 } = this.#journal ?? {};
    if (count === 0 || this.#options.resume === false) {
      await this.discard();
      return 0;
    }
    await this.#journal?.close();
    await this.#close();
    const { size = 0, pieceBytes = 0 } = this.#content ?? {};
    return Math.min(size, count * pieceBytes);
  }

  async discard(): Promise<void> {
    if (!this.#handle) return;
    await this.#journal?.remove();
    await unlink(this.#part).catch(() => {});
    await this.#close();
  }

  async #begin(content: Content, startOver: boolean): Promise<Begun> {
    await this.#syncing;
    await this.#journal?.close();
    this.#content = content;
    if (this.#options.makeDirectory) await (await import('fs-extra/esm')).ensureDir(path.dirname(this.path));
    const { size, pieceBytes, algorithm } = content;
    const books = await readBooks(journalPath(this.#part));
    this.#handle ??= await openPart(this.#part, this.path, books?.owner ?? 0, this.#calls.lock);
    const isResumable = algorithm !== undefined && size > pieceBytes;
    const isWanted = isResumable && this.#options.resume !== false;
    const left =
      books && isWanted && !startOver ? await believe(books, content, this.#handle) : new Map<number, Vouched>();
    if (left.size === 0) await this.#handle.truncate(0);
    else await this.#handle.datasync();
    const reservation = await this.#reserve(size, this.#handle);
    this.#journal = undefined;
    this.#unsyncedBytes = 0;
    if (isWanted) this.#journal = await Journal.create(journalPath(this.#part), content, left);
    else if (books) await unlink(journalPath(this.#part));
    return { reservation, left };
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
    const disk = await statfs(path.dirname(this.path));
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
    await this.#handle?.close().catch(() => {});
    this.#handle = undefined;
  }

  /** Without `force` a link is made instead of a rename, since that fails if someone created the target meanwhile. */
  async #publish(): Promise<void> {
    if (this.#options.force) return rename(this.#part, this.path);
    try {
      await link(this.#part, this.path);
    } catch (error) {
      if (systemCode(error) === 'EEXIST') throw exists(this.path);
      if (await lstat(this.path).catch(() => undefined)) throw exists(this.path);
      return rename(this.#part, this.path);
    }
    await unlink(this.#part);
  }

  #full(size: number, free?: number): HoplineError {
    const has = free === undefined ? 'it has not' : `it has ${free}`;
    const message = `the disk of ${path.dirname(this.path)} needs ${size} bytes free; ${has}`;
    return new HoplineError('DISK_FULL', message, { reason: 'ENOSPC' });
  }

  #diskError(error: unknown): HoplineError {
    if (error instanceof HoplineError) return error;
    const reason = systemCode(error) ?? 'unknown';
    const code = reason === 'ENOSPC' || reason === 'EDQUOT' ? 'DISK_FULL' : 'DISK_FAILED';
    return new HoplineError(code, `cannot write ${this.path} (${reason})`, { cause: error, reason });
  }
}

/** The name is cut so that what is put around it never makes it longer than file systems take. */
function partName(base: string): string {
  if (Buffer.byteLength(base) <= 200) return `.${base}.part`;
  const hash = createHash('sha256').update(base).digest('hex').slice(0, 16);
  return `.${Buffer.from(base).subarray(0, 180).toString('utf8')}.${hash}.part`;
}

function journalPath(part: string): string {
  return `${part}.journal`;
}

/** The pieces of an earlier run that are right: booked as synced, or read back and found to be what they should. */
async function believe(books: Books, content: Content, handle: FileHandle): Promise<Map<number, Vouched>> {
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
      if (bytesRead !== length || hasher.digest() !== digest) continue;
    }
    left.set(index, { digest, version });
  }
  return left;
}

/** Writes chunks one behind the other from `position` on; resolves to how many bytes they were. */
async function writeFully(handle: FileHandle, chunks: readonly Chunk[], position: number): Promise<number> {
  let left = chunks.map(({ bytes }) => bytes);
  let at = position;
  while (left.length > 0) {
    const { bytesWritten } = await handle.writev(left, at);
    at += bytesWritten;
    left = dropBytes(left, bytesWritten);
  }
  return at - position;
}

/** What is left of `buffers` after the first `count` bytes. */
function dropBytes(buffers: readonly Buffer[], count: number): Buffer[] {
  let drop = count;
  const left: Buffer[] = [];
  for (const buffer of buffers) {
    const taken = Math.min(drop, buffer.length);
    drop -= taken;
    if (taken < buffer.length) left.push(buffer.subarray(taken));
  }
  return left;
}
