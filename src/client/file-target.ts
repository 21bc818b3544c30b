/**
 * A download onto disk: reserved for real, written beside the target, made visible by one rename.
 *
 * Owns the temporary file. Never overwrites without being told to, never
 * follows a link at the target, never leaves a wrong file under the final name.
 * Invariant: until `commit` has settled, the target is as it was before.
 */

import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, lstat, open, readdir, rename, stat, statfs, unlink } from 'node:fs/promises';
import { constants as os } from 'node:os';
import path from 'node:path';
import { HoplineError, systemCode } from '../core/errors.ts';
import type { Chunk } from '../io/blocks.ts';
import { type Fallocate, loadFallocate } from '../io/kernel/libc.ts';
import type { Reservation, Target } from './target.ts';
import { WriteBehind } from './write-behind.ts';

export interface FileTargetOptions {
  readonly force: boolean;
  /** fallocate(2), or undefined to do without. @default the system's */
  readonly fallocate?: Fallocate | undefined;
  /** Leaves it to the caller to make the name durable. @default false */
  readonly leavesDirectory?: boolean;
}

/**
 * The place for a file called `name`: `output`, or `name` in it if it is a directory or ends like one, which is then made.
 * Throws `DISK_EXISTS`.
 */
export async function createFileTarget(output: string, name: string, options: FileTargetOptions): Promise<Target> {
  const wanted = path.resolve(output);
  const isDirectory =
    endsLikeDirectory(output) || ((await stat(wanted).catch(() => undefined))?.isDirectory() ?? false);
  const target = isDirectory ? path.join(wanted, name) : wanted;
  const existing = await lstat(target).catch(() => undefined);
  if (existing && !options.force) throw exists(target);
  if (existing?.isDirectory()) throw new HoplineError('DISK_EXISTS', `${target} is a directory`);
  const fallocate = 'fallocate' in options ? options.fallocate : loadFallocate();
  return new FileTarget(
    target,
    { ...options, fallocate },
    { replaces: existing !== undefined, makeDirectory: isDirectory },
  );
}

interface TargetFacts {
  readonly replaces: boolean;
  readonly makeDirectory: boolean;
}

/** The directory that several files go into: looked into once for all of them, and synced once. */
export class TargetDirectory {
  readonly path: string;
  readonly #force: boolean;
  /** What is there now; whether it is a directory. */
  readonly #existing: ReadonlyMap<string, boolean>;
  readonly #fallocate = loadFallocate();

  private constructor(directory: string, force: boolean, existing: ReadonlyMap<string, boolean>) {
    this.path = directory;
    this.#force = force;
    this.#existing = existing;
  }

  /** Throws `DISK_FAILED` unless `output` is a directory, or ends like one and can be made. */
  static async open(output: string, force: boolean): Promise<TargetDirectory> {
    const directory = path.resolve(output);
    try {
      if (endsLikeDirectory(output)) await (await loadExtra()).ensureDir(directory);
      const entries = await readdir(directory, { withFileTypes: true });
      return new TargetDirectory(directory, force, new Map(entries.map((entry) => [entry.name, entry.isDirectory()])));
    } catch (cause) {
      const reason = systemCode(cause) ?? 'unknown';
      const message = `several files need a directory to go into, and ${directory} is none (${reason})`;
      throw new HoplineError('DISK_FAILED', message, { cause, reason });
    }
  }

  /** The place for the file called `name`. Throws `DISK_EXISTS`. */
  target(name: string): Target {
    const target = path.join(this.path, name);
    const isDirectory = this.#existing.get(name);
    if (isDirectory !== undefined && !this.#force) throw exists(target);
    if (isDirectory) throw new HoplineError('DISK_EXISTS', `${target} is a directory`);
    const options = { force: this.#force, fallocate: this.#fallocate, leavesDirectory: true };
    return new FileTarget(target, options, { replaces: isDirectory !== undefined, makeDirectory: false });
  }

  /** Makes the names of all committed files durable. Throws `DISK_FAILED`. */
  async sync(): Promise<void> {
    try {
      await syncDirectory(this.path);
    } catch (cause) {
      const reason = systemCode(cause) ?? 'unknown';
      throw new HoplineError('DISK_FAILED', `cannot write ${this.path} (${reason})`, { cause, reason });
    }
  }
}

class FileTarget implements Target {
  readonly path: string;
  readonly replaces: boolean;
  readonly #temporary: string;
  readonly #force: boolean;
  readonly #makeDirectory: boolean;
  readonly #fallocate: Fallocate | undefined;
  readonly #leavesDirectory: boolean;
  #output: { readonly handle: FileHandle; readonly behind: WriteBehind } | undefined;

  constructor(target: string, { force, fallocate, leavesDirectory = false }: FileTargetOptions, facts: TargetFacts) {
    this.path = target;
    this.replaces = facts.replaces;
    this.#makeDirectory = facts.makeDirectory;
    this.#force = force;
    this.#fallocate = fallocate;
    this.#leavesDirectory = leavesDirectory;
    const mark = randomBytes(4).toString('hex');
    // The name is cut so that the mark never makes it longer than file systems take.
    const base = Buffer.from(path.basename(target)).subarray(0, 200).toString('utf8');
    this.#temporary = path.join(path.dirname(target), `.${base}.${mark}.part`);
  }

  async reserve(size: number): Promise<Reservation> {
    try {
      if (this.#makeDirectory) await (await loadExtra()).ensureDir(path.dirname(this.path));
      await this.#checkSpace(size);
      const handle = await open(this.#temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o666);
      this.#output = { handle, behind: new WriteBehind(handle) };
      if (size === 0) return 'none';
      const errno = this.#fallocate ? await this.#fallocate(handle.fd, size) : os.errno.ENOSYS;
      if (errno === 0) return 'allocated';
      if (errno === os.errno.ENOSPC || errno === os.errno.EDQUOT) throw this.#full(size);
      await handle.truncate(size);
      return 'sparse';
    } catch (error) {
      throw this.#diskError(error);
    }
  }

  async write(chunk: Chunk, _offset: number, position: number): Promise<void> {
    try {
      await this.#output?.behind.add(chunk, position);
    } catch (error) {
      throw this.#diskError(error);
    }
  }

  async accept(): Promise<void> {
    // The bytes are in place already; only commit makes them count.
  }

  reject(): void {
    // The piece is written again over the wrong bytes.
  }

  async commit(): Promise<void> {
    try {
      await this.#output?.behind.flush();
      await this.#output?.handle.sync();
      await this.#output?.handle.close();
      this.#output = undefined;
      await this.#publish();
      if (!this.#leavesDirectory) await syncDirectory(path.dirname(this.path));
    } catch (error) {
      throw this.#diskError(error);
    }
  }

  async discard(): Promise<void> {
    await this.#output?.behind.flush().catch(() => {});
    await this.#output?.handle.close().catch(() => {});
    this.#output = undefined;
    await (await loadExtra()).remove(this.#temporary).catch(() => {});
  }

  async #checkSpace(size: number): Promise<void> {
    const directory = path.dirname(this.path);
    const disk = await statfs(directory);
    // A file system without a size of its own (ramfs, some network mounts) reports no blocks at all.
    if (disk.blocks === 0) return;
    if (disk.bavail * disk.bsize < size) throw this.#full(size, disk.bavail * disk.bsize);
  }

  /** Without `force` a link is made instead of a rename, since that fails if someone created the target meanwhile. */
  async #publish(): Promise<void> {
    if (this.#force) return rename(this.#temporary, this.path);
    try {
      await link(this.#temporary, this.path);
    } catch (error) {
      if (systemCode(error) === 'EEXIST') throw exists(this.path);
      if (await lstat(this.path).catch(() => undefined)) throw exists(this.path);
      return rename(this.#temporary, this.path);
    }
    await unlink(this.#temporary);
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

function endsLikeDirectory(output: string): boolean {
  return /[\\/]$/.test(output);
}

/** Loaded when first needed: it takes longer to import than a small file takes to come. */
function loadExtra(): Promise<typeof import('fs-extra/esm')> {
  return import('fs-extra/esm');
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
