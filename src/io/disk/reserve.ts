/** Space for a file before its first byte: the disk sets it aside if it can, and is asked whether it has it in any case. */

import { fstatSync } from 'node:fs';
import { type FileHandle, statfs } from 'node:fs/promises';
import { constants as os } from 'node:os';
import path from 'node:path';
import { HoplineError } from '../../core/errors.ts';
import type { DiskCalls } from '../kernel/libc.ts';
import type { Reservation } from './writing/target.ts';

/** The file that it is for, and where that is for the system. */
interface Place {
  readonly target: string;
  readonly way: string;
}

/** Gives an open file its length, and the space for it. Throws `DISK_FULL`, or what the system says. */
export async function reserve(
  handle: FileHandle,
  size: number,
  place: Place,
  fallocate: DiskCalls['fallocate'],
): Promise<Reservation> {
  const { blocks = 0, size: length } = await handle.stat();
  await checkSpace(size - blocks * 512, place);
  // Space is reserved up to the end alone: what lies behind it would stay.
  if (length > size) await handle.truncate(size);
  if (size === 0) return 'none';
  const errno = (await fallocate?.(handle.fd, size)) ?? os.errno.ENOSYS;
  if (errno === os.errno.ENOSPC || errno === os.errno.EDQUOT) throw full(place, size);
  // There are disks that reserve, and leave the length as it was.
  if (errno !== 0 || fstatSync(handle.fd).size < size) await handle.truncate(size);
  return errno === 0 ? 'allocated' : 'sparse';
}

/** What is reserved already is not `needed` once more. */
async function checkSpace(needed: number, place: Place): Promise<void> {
  const free = await freeBytes(path.dirname(place.way));
  if (free < needed) throw full(place, needed, free);
}

/** What is free for others than root where `directory` is; without end where the file system has no size of its own. */
export async function freeBytes(directory: string): Promise<number> {
  const disk = await statfs(directory);
  // Such as ramfs and some network mounts, which report no blocks at all.
  return disk.blocks === 0 ? Number.POSITIVE_INFINITY : disk.bavail * disk.bsize;
}

function full({ target }: Place, needed: number, free?: number): HoplineError {
  const has = free === undefined ? 'it has not' : `it has ${free}`;
  const message = `the disk of ${path.dirname(target)} needs ${needed} bytes free; ${has}`;
  return new HoplineError('DISK_FULL', message, { reason: 'ENOSPC' });
}
