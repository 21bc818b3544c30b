/**
 * The part file of one writer: opened, and locked for as long as it is open.
 *
 * Invariant: of several processes that open the same path, one at a time gets it; its end, however it comes, frees it.
 */

import { constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { HoplineError, systemCode } from '../../core/errors.ts';
import type { DiskCalls } from '../kernel/libc.ts';

const { O_RDWR, O_CREAT } = constants;
// Windows has no links that an open could follow unasked.
const O_NOFOLLOW = constants.O_NOFOLLOW ?? 0;

/**
 * Opens the part file of `target`, making it if it is not there.
 * `owner` is the process that last wrote to it; it decides where there is no `lock`.
 * Throws `DISK_BUSY`, or what the system says.
 */
export async function openPart(
  part: string,
  target: string,
  owner: number,
  lock: DiskCalls['lock'],
): Promise<FileHandle> {
  if (!lock && owner !== process.pid && isRunning(owner)) throw busy(target);
  for (;;) {
    const handle = await open(part, O_RDWR | O_CREAT | O_NOFOLLOW, 0o666);
    try {
      if (lock && !lock(handle.fd)) throw busy(target);
      const opened = await handle.stat({ bigint: true });
      if (!opened.isFile()) throw new HoplineError('DISK_FAILED', `${part} is in the way: it is not a regular file`);
      // The writer before may have given the file its name, or removed it, between the open and the lock.
      const named = await lstat(part, { bigint: true }).catch(() => undefined);
      if (named?.ino === opened.ino && named.dev === opened.dev) return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
    await handle.close();
  }
}

function isRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
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
