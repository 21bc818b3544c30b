/**
 * Where an upload goes: from a name on the wire to a place below the root, the directories in between made as needed.
 *
 * Looks at the real path of every directory on the way before it steps in or
 * makes the next: a link may lead around inside the root, never out.
 * Invariant: nothing is made or written outside the root.
 */

import { lstat, mkdir, realpath } from 'node:fs/promises';
import path from 'node:path';
import { HoplineError, systemCode } from '../core/errors.ts';
import { isBelow, outside, pathBelow } from '../io/disk/below-root.ts';
import { syncDirectory } from '../io/disk/names.ts';

export interface UploadPlace {
  /** The real path of the directory, and the name in it. */
  readonly directory: string;
  readonly path: string;
  /** The name without what does not matter in it, so that it is the same however the client writes it. */
  readonly name: string;
}

/** Finds the place for `name` below `root`, which must be a real path. Throws `FILE_DENIED`, `DISK_FAILED`. */
export async function placeUpload(root: string, name: string, maxNameBytes: number): Promise<UploadPlace> {
  pathBelow(root, name, maxNameBytes);
  const segments = name.split('/').filter((segment) => segment !== '' && segment !== '.');
  const base = segments.pop();
  if (base === undefined || /(^|\/)\.$/.test(name)) throw denied('the name is that of a directory');
  if (process.platform === 'win32' && [...segments, base].some((segment) => /[. ]$/.test(segment))) {
    throw denied('a part of the name ends in a character that Windows leaves out');
  }
  let directory = root;
  for (const segment of segments) directory = await enter(root, directory, segment);
  return { directory, path: path.join(directory, base), name: [...segments, base].join('/') };
}

/** Whether there is something at the place. Throws `DISK_EXISTS` unless it may be replaced. */
export async function checkReplaces(place: UploadPlace, mayReplace: boolean): Promise<boolean> {
  const existing = await lstat(place.path).catch(() => undefined);
  if (existing && (!mayReplace || existing.isDirectory())) {
    throw new HoplineError('DISK_EXISTS', `${place.path} exists already`);
  }
  return existing !== undefined;
}

/** Throws `FILE_DENIED` if the directory was moved or exchanged since it was found. */
export async function checkStill({ directory }: UploadPlace): Promise<void> {
  if ((await realpath(directory).catch(() => undefined)) !== directory) throw outside();
}

/** The real path of the directory `segment` in `directory`, which is made if it is not there. */
async function enter(root: string, directory: string, segment: string): Promise<string> {
  const wanted = path.join(directory, segment);
  try {
    const real = (await realExisting(wanted)) ?? (await make(directory, wanted));
    if (real === root || isBelow(root, real)) return real;
  } catch (cause) {
    const reason = systemCode(cause) ?? 'unknown';
    throw new HoplineError('DISK_FAILED', `cannot make ${wanted} (${reason})`, { cause, reason });
  }
  throw outside();
}

async function realExisting(wanted: string): Promise<string | undefined> {
  try {
    return await realpath(wanted);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function make(directory: string, wanted: string): Promise<string> {
  await mkdir(wanted).catch((error) => {
    // Another upload may have been faster.
    if (systemCode(error) !== 'EEXIST') throw error;
  });
  await syncDirectory(directory);
  return realpath(wanted);
}

function denied(message: string): HoplineError {
  return new HoplineError('FILE_DENIED', message);
}
