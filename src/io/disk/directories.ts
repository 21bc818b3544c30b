/** Directories: made with those that they lie in, and made to last. */

import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** For its owner alone. */
export const privateMode = 0o700;

/** Makes a directory that is not there, and those above it; `mode` before the umask. Throws what the system says. */
export async function makeDirectory(directory: string, mode = 0o777): Promise<void> {
  // Loaded here, since most transfers find their directory and would wait for it.
  const { ensureDir } = await import('fs-extra/esm');
  await ensureDir(directory, { mode });
}

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
