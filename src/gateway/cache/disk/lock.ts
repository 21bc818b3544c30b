/**
 * The lock on a cache's directory: one process at a time has it, and its end, however it comes, frees it.
 */

import type { FileHandle } from 'node:fs/promises';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { HoplineError } from '../../../core/errors.ts';
import { ownFileFlags } from '../../../io/disk/own-file.ts';
import { openLocked } from '../../../io/disk/writing/part.ts';
import { loadDiskCalls } from '../../../io/kernel/libc.ts';

/** Takes the lock, which goes when the handle is closed. Throws `DISK_BUSY`, or what the system says. */
export async function lockDirectory(directory: string): Promise<FileHandle> {
  const file = path.join(directory, 'lock');
  const readOwner = async () =>
    Number.parseInt(await readFile(file, { encoding: 'utf8', flag: ownFileFlags }).catch(() => '0'), 10);
  try {
    const handle = await openLocked(file, { target: directory, lock: loadDiskCalls().lock, readOwner, mode: 0o600 });
    await handle.write(`${process.pid}\n`, 0);
    return handle;
  } catch (cause) {
    if (!(cause instanceof HoplineError) || cause.code !== 'DISK_BUSY') throw cause;
    const message = `cache directory "${directory}": another process is using it`;
    throw new HoplineError('DISK_BUSY', message, { cause });
  }
}
