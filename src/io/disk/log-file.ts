/**
 * A file that lines are appended to, such as a log of requests: for its owner alone, since its lines may hold secrets.
 */

import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { HoplineError } from '../../core/errors.ts';

/** Permissions of a new one. */
export const logFileMode = 0o600;

/**
 * Makes `file` if it is not there. Resolves to a complaint if somebody else may read it, as a file that was there may let them.
 * Throws `DISK_FAILED` for a socket and what else no line can go into, and what the system says, of a FIFO without a reader too.
 */
export async function prepareLogFile(file: string): Promise<string | undefined> {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK = 0, O_NOCTTY = 0 } = constants;
  // A plain open would wait for the reader of a FIFO, and nothing could end that.
  const handle = await open(file, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY, logFileMode);
  await handle.close();
  const found = await stat(file);
  if (found.isBlockDevice()) throw new HoplineError('DISK_FAILED', `${file} is a disk, and no place for lines`);
  if (!found.isFile() || process.platform === 'win32' || (found.mode & 0o077) === 0) return undefined;
  const mode = (found.mode & 0o777).toString(8).padStart(4, '0');
  return `others may read or write ${file}: its mode is ${mode}, and not 0600`;
}
