/**
 * The lock on a cache's directory: one process at a time has it, and its end, however it comes, frees it.
 */

import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { HoplineError } from '../../../core/errors.ts';
import { openLockFile } from '../../../io/disk/lock-file.ts';
import { loadDiskCalls } from '../../../io/kernel/libc.ts';

/** Takes the lock, which goes when the handle is closed. Throws `DISK_BUSY`, or what the system says. */
export async function lockDirectory(directory: string): Promise<FileHandle> {
  try {
    return await openLockFile(path.join(directory, 'lock'), directory, loadDiskCalls().lock);
  } catch (cause) {
    if (!(cause instanceof HoplineError) || cause.code !== 'DISK_BUSY') throw cause;
    const message = `cache directory "${directory}": another process is using it`;
    throw new HoplineError('DISK_BUSY', message, { cause });
  }
}
