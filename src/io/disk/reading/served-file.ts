/**
 * A file below the root, opened: the only way from a name on the wire to bytes on disk.
 *
 * Serves regular files alone; what is none is not even opened.
 */

import { constants } from 'node:fs';
import { HoplineError } from '../../../core/errors.ts';
import { type Held, type Hold, hold } from '../held.ts';
import { holdBelow, openError } from './below-root.ts';
import { VersionedFile } from './versioned-file.ts';

/**
 * Opens `name` below `root`, which must be a real path. Throws `FILE_NOT_FOUND`, `FILE_DENIED`, `FILE_IS_DIRECTORY`,
 * `FILE_UNREADABLE`.
 */
export async function openServed(
  root: string,
  name: string,
  maxNameBytes: number,
  by: Hold = hold,
): Promise<VersionedFile> {
  let held: Held | undefined;
  try {
    held = await holdBelow(root, name, maxNameBytes, by);
    const { stats } = held;
    if (stats.isDirectory()) throw new HoplineError('FILE_IS_DIRECTORY', 'the name is that of a directory');
    if (!stats.isFile()) throw new HoplineError('FILE_DENIED', 'the name is not that of a regular file');
    // Non-blocking, since by its path a FIFO may have taken its place, whose opening would wait for a writer.
    const handle = await held.open(constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    return new VersionedFile(handle, stats);
  } catch (error) {
    throw openError(error);
  } finally {
    await held?.close();
  }
}
