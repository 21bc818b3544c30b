/**
 * The last step of a finished file: the part file that was written gets the name, or nothing does.
 *
 * Invariant: success is told only of the file that is open, and only of its full length.
 */

import { fstatSync } from 'node:fs';
import { type FileHandle, lstat, unlink } from 'node:fs/promises';
import { HoplineError } from '../../core/errors.ts';
import { systemCode } from '../../core/system-errors.ts';
import type { DurableCalls } from './durable.ts';
import { checkReplaceable } from './occupant.ts';
import { isAt } from './own-file.ts';
import { exists, isDirectory } from './writing/part-names.ts';

export interface UnpublishedFile {
  readonly handle: FileHandle;
  /** Where it is, and where it shall be, for the system. */
  readonly part: string;
  readonly way: string;
  /** The same for messages. */
  readonly target: string;
  /** Bytes that it must have. */
  readonly size: number;
}

/** Gives what `handle` is open on its name; resolves to whether it replaced something. Throws `DISK_EXISTS`, `DISK_FAILED`, or what the system says. */
export async function publish(
  finished: UnpublishedFile,
  force: boolean,
  calls: Pick<DurableCalls, 'link' | 'rename'>,
): Promise<boolean> {
  const { handle, part, way, target, size } = finished;
  const written = await handle.stat({ bigint: true });
  if (written.size !== BigInt(size)) throw disturbed(target, `has ${written.size} bytes in place of ${size}`);
  if (!(await isAt(part, written))) throw disturbed(target, 'is not there any more');
  const replaced = await name(finished, force, calls);
  // Whoever may write to the directory may also do it between the two.
  if (!(await isAt(way, written))) throw disturbed(target, 'is not there any more');
  return replaced;
}

/**
 * Throws `DISK_FAILED` if an open file that has to have `size` bytes is shorter: what is written next would make it long enough
 * again, with zeros in the place of what was cut off. The system tells it from memory.
 */
export function checkUncut(handle: FileHandle, size: number, target: string): void {
  const stats = fstatSync(handle.fd);
  const { size: length } = stats;
  // A device has no length, and says what is wrong when it is written to.
  if (stats.isFile() && length < size) throw disturbed(target, `has ${length} bytes in place of ${size}`);
}

/** Without `force` a link is made instead of a rename, since that fails if someone created the target meanwhile. */
async function name(
  { part, way, target }: UnpublishedFile,
  force: boolean,
  { link, rename }: Pick<DurableCalls, 'link' | 'rename'>,
): Promise<boolean> {
  if (force) {
    const { kind } = await checkReplaceable(way, target);
    if (kind === 'directory') throw isDirectory(target);
    await rename(part, way);
    return kind !== 'nothing';
  }
  try {
    await link(part, way);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') throw exists(target);
    if (await lstat(way).catch(() => undefined)) throw exists(target);
    await rename(part, way);
    return false;
  }
  // One that stays is no harm: whoever opens it sees that it is a file already.
  await unlink(part).catch(() => {});
  return false;
}

function disturbed(target: string, how: string): HoplineError {
  return new HoplineError('DISK_FAILED', `what was written for ${target} ${how}: another program changed it`);
}
