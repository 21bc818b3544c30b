/**
 * A download onto disk: reserved for real, written beside the target, made visible by one rename.
 *
 * Owns the temporary file. Never overwrites without being told to, never
 * follows a link at the target, never leaves a wrong file under the final name.
 * Invariant: until `commit` has settled, the target is as it was before.
 */

import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, lstat, open, rename, stat, statfs, unlink } from 'node:fs/promises';
import { constants as os } from 'node:os';
import path from 'node:path';
import { HoplineError, systemCode } from '../core/errors.ts';
import { type Fallocate, loadFallocate } from '../io/kernel/libc.ts';
import type { Chunk } from '../io/leg.ts';
import type { Reservation, Target } from './target.ts';

const writesAtOnce = 4;

export interface FileTargetOptions {
  readonly force: boolean;
  /** fallocate(2), or undefined to do without. @default the system's */
  readonly fallocate?: Fallocate | undefined;
}

/** The place for a file called `name`: `output`, or `name` in it if it is a directory. Throws `DISK_EXISTS`, `DISK_FAILED`. */
export async function createFileTarget(output: string, name: string, options: FileTargetOptions): Promise<Target> {
  const wanted = path.resolve(output);
  const isDirectory = (await stat(wanted).catch(() => undefined))?.isDirectory() ?? false;
  const target = isDirectory ? path.join(wanted, name) : wanted;
  const existing = await lstat(target).catch(() => undefined);
  if (existing && !options.force) throw exists(target);
  if (existing?.isDirectory()) throw new HoplineError('DISK_EXISTS', `${target} is a directory`);
  const fallocate = 'fallocate' in options ? options.fallocate : loadFallocate();
  return new FileTarget(target, { ...options, fallocate }, existing !== undefined);
}

class FileTarget implements Target {
  readonly path: string;
  readonly replaces: boolean;
  readonly #temporary: string;
  readonly #force: boolean;
  readonly #fallocate: Fallocate | undefined;
  readonly #writes = new Set<Promise<void>>();
  #handle: FileHandle | undefined;
  #failure: HoplineError | undefined;

  constructor(target: string, { force, fallocate }: FileTargetOptions, replaces: boolean) {
    this.path = target;
    this.replaces = replaces;
    this.#force = force;
    this.#fallocate = fallocate;
    const mark = randomBytes(4).toString('hex');
    // The name is cut so that the mark never makes it longer than file systems take.
    const base = Buffer.from(path.basename(target)).subarray(0, 200).toString('utf8');
    this.#temporary = path.join(path.dirname(target), `.${base}.${mark}.part`);
  }

  async reserve(size: number): Promise<Reservation> {
    await this.#checkSpace(size);
    try {
      this.#handle = await open(this.#temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o666);
      if (size === 0) return 'none';
      const errno = this.#fallocate ? await this.#fallocate(this.#handle.fd, size) : os.errno.ENOSYS;
      if (errno === 0) return 'allocated';
      if (errno === os.errno.ENOSPC) throw this.#full(size);
      await this.#handle.truncate(size);
      return 'sparse';
    } catch (error) {
      throw this.#diskError(error);
    }
  }

  async write(chunk: Chunk, _offset: number, position: number): Promise<void> {
    if (this.#failure) throw this.#failure;
    const write = this.#writeFully(chunk, position).finally(() => {
      chunk.release();
      this.#writes.delete(write);
    });
    write.catch((error) => {
      this.#failure ??= this.#diskError(error);
    });
    this.#writes.add(write);
    if (this.#writes.size >= writesAtOnce) await Promise.race(this.#writes).catch(() => {});
  }

  async accept(): Promise<void> {
    // The bytes are in place already; only commit makes them count.
  }

  reject(): void {
    // The piece is written again over the wrong bytes.
  }

  async commit(): Promise<void> {
    await Promise.allSettled(this.#writes);
    if (this.#failure) throw this.#failure;
    try {
      await this.#handle?.sync();
      await this.#handle?.close();
      this.#handle = undefined;
      await this.#publish();
      await syncDirectory(path.dirname(this.path));
    } catch (error) {
      throw this.#diskError(error);
    }
  }

  async discard(): Promise<void> {
    await Promise.allSettled(this.#writes);
    await this.#handle?.close().catch(() => {});
    this.#handle = undefined;
    await unlink(this.#temporary).catch(() => {});
  }

  async #writeFully({ bytes }: Chunk, position: number): Promise<void> {
    for (let written = 0; written < bytes.length; ) {
      const handle = this.#handle as FileHandle;
      written += (await handle.write(bytes, written, bytes.length - written, position + written)).bytesWritten;
    }
  }

  async #checkSpace(size: number): Promise<void> {
    const directory = path.dirname(this.path);
    const disk = await statfs(directory).catch((error) => {
      throw this.#diskError(error);
    });
    // A file system without a size of its own (ramfs, some network mounts) reports no blocks at all.
    if (disk.blocks === 0) return;
    if (disk.bavail * disk.bsize < size) throw this.#full(size, disk.bavail * disk.bsize);
  }

  /** Without `force` a link is made instead of a rename, since that fails if someone created the target meanwhile. */
  async #publish(): Promise<void> {
    if (this.#force) return rename(this.#temporary, this.path);
    try {
      await link(this.#temporary, this.path);
      await unlink(this.#temporary);
    } catch (error) {
      if (systemCode(error) === 'EEXIST') throw exists(this.path);
      if (await lstat(this.path).catch(() => undefined)) throw exists(this.path);
      await rename(this.#temporary, this.path);
    }
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

/** A rename is durable once its directory is; Windows has no such call and no need for it. */
async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(directory, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function exists(target: string): HoplineError {
  return new HoplineError('DISK_EXISTS', `${target} exists already`);
}
