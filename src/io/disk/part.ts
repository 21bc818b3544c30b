/**
 * The part file of one writer: opened, and locked for as long as it is open.
 *
 * Invariant: of several processes that open the same path, one at a time gets it; its end, however it comes, frees it.
 */

import { constants } from 'node:fs';
import { type FileHandle, lstat, open, unlink } from 'node:fs/promises';
import { HoplineError, systemCode } from '../../core/errors.ts';
import type { DiskCalls } from '../kernel/libc.ts';

const { O_RDWR, O_CREAT } = constants;
// Windows has no links that an open could follow unasked.
const O_NOFOLLOW = constants.O_NOFOLLOW ?? 0;

/**
 * Opens the part file of `target`, making it if it is not there.
 * `readOwner` tells which process wrote to it last, 0 for none; that decides where there is no `lock`. `mode` is that of a
 * new one.
 * Throws `DISK_BUSY`, or what the system says.
 */
export async function openPart(
  part: string,
  target: string,
  lock: DiskCalls['lock'],
  readOwner: () => Promise<number>,
  mode = 0o666,
): Promise<FileHandle> {
  if (!lock && isOthers(await readOwner())) throw busy(target);
  for (;;) {
    const handle = await open(part, O_RDWR | O_CREAT | O_NOFOLLOW, mode);
    try {
      if (lock && !lock(handle.fd)) throw busy(target);
      if (await isOurs(handle, part)) return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
    await handle.close();
  }
}

/** Whether what was opened is the part file still, and nothing else besides. */
async function isOurs(handle: FileHandle, part: string): Promise<boolean> {
  const opened = await handle.stat({ bigint: true });
  if (!opened.isFile()) throw new HoplineError('DISK_FAILED', `${part} is in the way: it is not a regular file`);
  // The writer before may have given the file its name, or removed it, between the open and the lock.
  const named = await lstat(part, { bigint: true }).catch(() => undefined);
  if (named?.ino !== opened.ino || named.dev !== opened.dev) return false;
  if (opened.nlink <= 1n) return true;
  // A writer died right after it had given the file its name: the content is no longer ours to change.
  await unlink(part);
  return false;
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
