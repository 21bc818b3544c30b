/**
 * How Linux syncs many files at a time, through koffi where it loads.
 *
 * Elsewhere each file is synced by itself, which is what Node offers.
 */

import { readFileSync } from 'node:fs';
import { constants, release } from 'node:os';
import { loadKoffi } from '../libc.ts';

export interface SyncCalls {
  /** Has the disk begin with what was written to the open file, and does not wait for it. */
  readonly beginWrites: (fd: number) => void;
  /**
   * Syncs all of the file system that the open file is on: 0, or an errno, also where the disk failed with any of it since the
   * file was opened, and where others have written so much that it would take long. Missing where failures would not be told.
   * Rejects where how much that is cannot be asked.
   */
  readonly syncAll?: (fd: number) => Promise<number>;
}

const SYNC_FILE_RANGE_WRITE = 2;
/** Before this, syncfs(2) kept to itself what the disk failed with. */
const tellsSince = [5, 8] as const;
/** What this machine's disks have to write, for a sync of all to take about as long as one of a few files. */
const maxUnwrittenKiB = 64 * 1024;

/** Linux's sync_file_range(2) and syncfs(2), or undefined. */
export function loadSyncCalls(): SyncCalls | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const koffi = loadKoffi();
    const libc = koffi.load(null);
    const syncRange = libc.func('int sync_file_range(int fd, int64_t offset, int64_t length, unsigned int flags)');
    const syncfs = libc.func('int syncfs(int fd)');
    const syncAll = (fd: number) =>
      new Promise<number>((resolve) => {
        if (unwrittenKiB() > maxUnwrittenKiB) return resolve(constants.errno.EBUSY);
        syncfs.async(fd, (error: unknown, result: number) => {
          resolve(error || result !== 0 ? koffi.errno() || constants.errno.EIO : 0);
        });
      });
    // What cannot begin yet is written by the sync.
    const beginWrites = (fd: number) => void syncRange(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    return { beginWrites, ...(tellsFailures(release()) ? { syncAll } : {}) };
  } catch {
    return undefined;
  }
}

function tellsFailures(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split('.').map(Number);
  return major > tellsSince[0] || (major === tellsSince[0] && minor >= tellsSince[1]);
}

/** Answered by the kernel from memory. Throws where that cannot be asked, as without a descriptor that is free. */
function unwrittenKiB(): number {
  const told = readFileSync('/proc/meminfo', 'latin1').matchAll(/^(?:Dirty|Writeback):\s*(\d+) kB$/gm);
  let sum = 0;
  for (const [, kib] of told) sum += Number(kib);
  return sum;
}
