/**
 * A file below the root, opened and then checked: the only way from a name on the wire to bytes on disk.
 *
 * Opens first and judges what was opened, so that nothing can be swapped in
 * between. Serves regular files alone, and only those whose real path lies
 * below the root: a link may point around inside it, never out.
 */

import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, open, realpath, stat } from 'node:fs/promises';
import { HoplineError } from '../../core/errors.ts';
import { isBelow, openError, outside, pathBelow } from './below-root.ts';
import { VersionedFile } from './versioned-file.ts';

/** Opens `name` below `root`, which must be a real path. Throws `FILE_NOT_FOUND`, `FILE_DENIED`, `FILE_IS_DIRECTORY`, `FILE_UNREADABLE`. */
export async function openServed(root: string, name: string, maxNameBytes: number): Promise<VersionedFile> {
  const wanted = pathBelow(root, name, maxNameBytes);
  let handle: FileHandle | undefined;
  try {
    // Non-blocking, or opening a FIFO would wait for its writer.
    handle = await open(wanted, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const opened = await handle.stat({ bigint: true });
    const isServed = opened.isFile() || opened.isDirectory();
    if (!isServed) throw new HoplineError('FILE_DENIED', 'the name is not that of a regular file');
    await checkInside(root, wanted, opened);
    if (opened.isDirectory()) throw new HoplineError('FILE_IS_DIRECTORY', 'the name is that of a directory');
    return new VersionedFile(handle, opened);
  } catch (error) {
    await handle?.close();
    throw openError(error);
  }
}

/** What was opened must be what the real path below the root names. */
async function checkInside(root: string, wanted: string, opened: BigIntStats): Promise<void> {
  const real = await realpath(wanted);
  if (isBelow(root, real)) {
    const named = await stat(real, { bigint: true });
    if (named.ino === opened.ino && named.dev === opened.dev) return;
  }
  throw outside();
}
