/** Directories: made with those that they lie in, and made to last. */

import { constants } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import path from 'node:path';
import { HoplineError } from '../../core/errors.ts';
import { systemCode } from '../../core/system-errors.ts';

/** For its owner alone. */
export const privateMode = 0o700;

/** Makes a directory that is not there, and those above it; `mode` before the umask. Throws what the system says. */
export async function makeDirectory(directory: string, mode = 0o777): Promise<void> {
  await makeUppermost(directory, mode);
  // Loaded here, since most transfers find their directory and would wait for it.
  const { ensureDir } = await import('fs-extra/esm');
  await ensureDir(directory, { mode });
}

/** The same for one that a user named. Throws `DISK_EXISTS` where a file has the name. */
export async function makeNamedDirectory(directory: string): Promise<void> {
  await makeDirectory(directory).catch((error) => {
    if (systemCode(error) !== 'EEXIST') throw error;
    throw new HoplineError('DISK_EXISTS', `${directory} is a file, where a directory is to be`);
  });
}

/**
 * Makes the first directory on the way that is not there. Where none can be made although those above it are there, as below /proc,
 * Node tries for ever to make several at once; where one can, so can those in it.
 */
async function makeUppermost(directory: string, mode: number): Promise<void> {
  let missing: string | undefined;
  for (let at = path.resolve(directory); at !== path.dirname(at) && (await isMissing(at)); at = path.dirname(at)) {
    missing = at;
  }
  if (missing === undefined) return;
  await mkdir(missing, { mode }).catch((error) => {
    if (systemCode(error) !== 'EEXIST') throw error;
  });
}

function isMissing(place: string): Promise<boolean> {
  return stat(place).then(
    () => false,
    (error) => systemCode(error) === 'ENOENT',
  );
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
