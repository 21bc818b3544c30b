/** Names in a directory: the error for one that is taken, and the call that makes new ones last. */

import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { HoplineError } from '../../core/errors.ts';

/** A rename is durable once its directory is; Windows has no such call and no need for it. Throws what the system says. */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(directory, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export function exists(target: string): HoplineError {
  return new HoplineError('DISK_EXISTS', `${target} exists already`);
}
