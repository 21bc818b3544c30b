/**
 * Where files go: from what a user wrote after `-o`, and for many files in one directory.
 *
 * Looks at what is there, and says no to what may not be replaced.
 */

import { lstat, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { HoplineError, systemCode } from '../../core/errors.ts';
import { loadDiskCalls } from '../kernel/libc.ts';
import { FileTarget, type FileTargetOptions } from './file-target.ts';
import { diskError, exists, syncDirectory } from './names.ts';
import type { Target } from './target.ts';

export type PlaceOptions = Pick<FileTargetOptions, 'force' | 'resume' | 'calls' | 'signal'>;

/**
 * The place for a file called `name`: `output`, or `name` in it if it is a directory or ends like one, which is then made.
 * Throws `DISK_EXISTS`; a directory of that name is in the way once the target begins.
 */
export async function createFileTarget(output: string, name: string, options: PlaceOptions): Promise<Target> {
  const wanted = path.resolve(output);
  const isDirectory =
    endsLikeDirectory(output) || ((await stat(wanted).catch(() => undefined))?.isDirectory() ?? false);
  const target = isDirectory ? path.join(wanted, name) : wanted;
  const existing = await lstat(target).catch(() => undefined);
  // What the name is that of may be a directory too, and that can be told once the origin has been asked.
  const isTaken = existing?.isDirectory() ?? false;
  if (existing && !options.force && !isTaken) throw exists(target);
  const replaces = existing !== undefined;
  return new FileTarget(target, { ...options, replaces, isTaken, makeDirectory: isDirectory });
}

/** The directory that several files go into: looked into once for all of them, and synced once. */
export class TargetDirectory {
  readonly path: string;
  readonly #options: PlaceOptions;
  /** What is there now; whether it is a directory. */
  readonly #existing: ReadonlyMap<string, boolean>;

  private constructor(directory: string, options: PlaceOptions, existing: ReadonlyMap<string, boolean>) {
    this.path = directory;
    this.#options = { calls: loadDiskCalls(), ...options };
    this.#existing = existing;
  }

  /** Throws `DISK_FAILED` unless `output` is a directory, or ends like one and can be made. */
  static async open(output: string, options: PlaceOptions): Promise<TargetDirectory> {
    const directory = path.resolve(output);
    try {
      if (endsLikeDirectory(output)) await (await import('fs-extra/esm')).ensureDir(directory);
      const entries = await readdir(directory, { withFileTypes: true });
      const existing = new Map(entries.map((entry) => [entry.name, entry.isDirectory()]));
      return new TargetDirectory(directory, options, existing);
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
    if (isDirectory !== undefined && !this.#options.force) throw exists(target);
    if (isDirectory) throw new HoplineError('DISK_EXISTS', `${target} is a directory`);
    return new FileTarget(target, { ...this.#options, leavesDirectory: true, replaces: isDirectory !== undefined });
  }

  /** Makes the names of all committed files durable. Throws `DISK_FAILED`. */
  async sync(): Promise<void> {
    try {
      await syncDirectory(this.path);
    } catch (error) {
      throw diskError(this.path, error);
    }
  }
}

function endsLikeDirectory(output: string): boolean {
  return /[\\/]$/.test(output);
}
