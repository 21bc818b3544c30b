/**
 * The part file of one writer: opened, and locked for as long as it is open.
 *
 * What stands under the name of a part file and is not this user's own is never
 * written to: it is removed, and another is made in its place.
 * Invariant: of several processes that open the same path, one at a time gets it; its end, however it comes, frees it.
 */

import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, open, unlink } from 'node:fs/promises';
import path from 'node:path';
import { HoplineError } from '../../../core/errors.ts';
import { systemCode } from '../../../core/system-errors.ts';
import type { DiskCalls } from '../../kernel/libc.ts';
import { isAt, isOwn } from '../own-file.ts';

const { O_RDWR, O_CREAT, O_EXCL } = constants;
// Windows has neither.
const foundFlags = O_RDWR | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

export interface LockOptions {
  /** Whose lock it is, for messages. */
  readonly target: string;
  readonly lock: DiskCalls['lock'];
  /** Tells which process wrote to it last, 0 for none; that decides where there is no `lock`. */
  readonly readOwner: () => Promise<number>;
  /** Of a new file. */
  readonly mode: number;
}

/** Opens a part file, making it where there is none of this user's. Throws `DISK_BUSY`, `DISK_FAILED`, or what the system says. */
export function openPart(part: string, options: LockOptions): Promise<FileHandle> {
  // A second name: its writer died right after it had given the file its name, and the content is no longer ours to change.
  return openLocked(part, options, (found) => isOwn(found) && found.nlink <= 1n);
}

/**
 * Opens a file that one process at a time may have, making it if it is not there. With `fits`, one that does not fit is
 * removed for another. Throws as `openPart`.
 */
export async function openLocked(
  file: string,
  options: LockOptions,
  fits?: (found: BigIntStats) => boolean,
): Promise<FileHandle> {
  if (!options.lock && isOthers(await options.readOwner())) throw busy(options.target);
  for (;;) {
    const made = await make(file, options.mode);
    const handle = made ?? (await openFound(file, options.target, fits !== undefined));
    if (!handle) continue;
    let isTaken = false;
    try {
      isTaken = await take(file, handle, options, made ? undefined : fits);
      if (isTaken) return handle;
    } finally {
      if (!isTaken) await handle.close();
    }
  }
}

/** Locks an open file; false if it is another by now, or was removed as it does not fit. */
async function take(
  file: string,
  handle: FileHandle,
  { lock, target }: LockOptions,
  fits: (found: BigIntStats) => boolean = () => true,
): Promise<boolean> {
  if (lock && !lock(handle.fd)) throw busy(target);
  const opened = await handle.stat({ bigint: true });
  // The writer before may have given the file its name, or removed it, between the open and the lock.
  if (!(await isAt(file, opened))) return false;
  if (fits(opened)) return true;
  await unlink(file);
  return false;
}

/** Undefined if something of that name is there, be it a link to nowhere. */
async function make(file: string, mode: number): Promise<FileHandle | undefined> {
  try {
    return await open(file, O_RDWR | O_CREAT | O_EXCL, mode);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return undefined;
    throw error;
  }
}

/** Undefined if it is gone, or was removed for what it is. */
async function openFound(file: string, target: string, mayRemove: boolean): Promise<FileHandle | undefined> {
  const found = await lstat(file, { bigint: true }).catch(ignoreGone);
  if (!found) return undefined;
  if (found.isDirectory() || !(found.isFile() || mayRemove)) {
    const name = path.basename(file);
    throw new HoplineError('DISK_FAILED', `${name} is in the way of ${target}: it is not a regular file`);
  }
  try {
    // Asked before it is opened: opening a device may have effects, and Windows would follow a link.
    if (found.isFile()) return await open(file, foundFlags);
  } catch (error) {
    if (!mayRemove || isOwn(found)) return ignoreGone(error);
  }
  await unlink(file).catch(ignoreGone);
  return undefined;
}

/** For calls that need not find a file. Throws any other error. */
export function ignoreGone(error: unknown): undefined {
  if (systemCode(error) !== 'ENOENT') throw error;
}

function isOthers(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
}

function busy(target: string): HoplineError {
  return new HoplineError('DISK_BUSY', `another transfer is writing ${target} at this moment`);
}
