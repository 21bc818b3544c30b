/**
 * A file that stands for something that one process at a time may have, and says which process that is.
 *
 * Invariant: where the system has locks, the process' end, however it comes, frees it; elsewhere the number in the file is
 * that of a process that has ended.
 */

import { type FileHandle, readFile } from 'node:fs/promises';
import type { DiskCalls } from '../kernel/libc.ts';
import { ownFileFlags } from './own-file.ts';
import { openLocked } from './writing/part.ts';

/** Takes the lock, which goes when the handle is closed. Throws `DISK_BUSY`, `DISK_FAILED`, or what the system says. */
export async function openLockFile(file: string, target: string, lock: DiskCalls['lock']): Promise<FileHandle> {
  const readOwner = async () =>
    Number.parseInt(await readFile(file, { encoding: 'utf8', flag: ownFileFlags }).catch(() => '0'), 10);
  const handle = await openLocked(file, { target, lock, readOwner, mode: 0o600 });
  try {
    await handle.truncate();
    await handle.write(`${process.pid}\n`, 0);
    return handle;
  } catch (error) {
    // The lock says enough: whoever makes room on a full disk needs it too.
    if (lock) return handle;
    await handle.close();
    throw error;
  }
}
