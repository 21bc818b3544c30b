/**
 * What stands under the name that a file is to get, and whether the file can get that name: asked before the first byte
 * moves.
 *
 * Invariant: what exists and is no regular file, be it a device, a FIFO or a socket, is never replaced.
 * Rules: docs/resume.md#on-disk
 */

import { constants, type Stats } from 'node:fs';
import { access, lstat, readlink, stat } from 'node:fs/promises';
import path from 'node:path';
import { HoplineError } from '../../core/errors.ts';
import { systemCode } from '../../core/system-errors.ts';

/**
 * `link`: to a regular file, a directory or nowhere; it is replaced as a file is, and not followed. `stream`: a FIFO or a
 * character device, which can be written into. `special`: anything else.
 */
export interface Occupant {
  readonly kind: 'nothing' | 'file' | 'link' | 'directory' | 'stream' | 'special';
  /** In words. */
  readonly what: string;
}

/** Looks at what is called `target`. Throws what the system says, of a name that is too long too. */
export async function lookAtPlace(target: string): Promise<Occupant> {
  const found = await lookAt(() => lstat(target));
  if (!found) return { kind: 'nothing', what: 'nothing' };
  if (!found.isSymbolicLink()) return occupantOf(found);
  const behind = await stat(target).catch(() => undefined);
  const { kind, what } = behind ? occupantOf(behind) : { kind: 'nothing', what: '' };
  if (kind === 'stream' || kind === 'special') return { kind, what: `a link to ${what}` };
  // Such as /dev/stdout: what it leads to changes with whoever looks.
  const isDescriptor = /^\/(dev|proc)\//.test(await readlink(target).catch(() => ''));
  return isDescriptor ? { kind: 'special', what: 'a link to an open file' } : { kind: 'link', what: 'a link' };
}

/** What is called `target`. Throws `DISK_FAILED` if it must not be replaced, and what the system says. */
export async function checkReplaceable(target: string, shown: string = target): Promise<Occupant> {
  const occupant = await lookAtPlace(target);
  if (isSpecial(occupant)) throw notReplaced(shown, occupant);
  return occupant;
}

/** Whether it is no file, and stands for no file. */
export function isSpecial({ kind }: Occupant): boolean {
  return kind === 'stream' || kind === 'special';
}

export function notReplaced(target: string, { what }: Pick<Occupant, 'what'>): HoplineError {
  return new HoplineError('DISK_FAILED', `${target} is ${what}, which no file replaces`, { reason: 'NOT_A_FILE' });
}

/** Throws what the system says if a file could not be made as `target`; with `makeDirectory`, with the directories to it. */
export async function checkCanMake(target: string, makeDirectory: boolean): Promise<void> {
  let directory = path.dirname(target);
  while (makeDirectory && !(await lookAt(() => stat(directory)))) directory = path.dirname(directory);
  // A name is too long wherever it stands; below what is missing the system has not looked at it yet.
  for (const name of path.relative(directory, target).split(path.sep))
    await lookAt(() => lstat(path.join(directory, name)));
  // Not through the directory itself, but through what is in it: the system then says if it is none.
  await access(path.join(directory, '.'), constants.W_OK | constants.X_OK);
  await checkOwner(directory, target);
}

/** In a directory for everybody, such as /tmp, what somebody else has made cannot be replaced. */
async function checkOwner(directory: string, target: string): Promise<void> {
  const user = process.geteuid?.();
  if (user === undefined || user === 0) return;
  const [around, existing] = [await stat(directory), await lookAt(() => lstat(target))];
  const isSticky = (around.mode & 0o1000) !== 0;
  if (!isSticky || !existing || around.uid === user || existing.uid === user) return;
  throw new HoplineError('DISK_FAILED', `${target} belongs to somebody else`, { reason: 'EPERM' });
}

function occupantOf(stats: Stats): Occupant {
  if (stats.isFile()) return { kind: 'file', what: 'a file' };
  if (stats.isDirectory()) return { kind: 'directory', what: 'a directory' };
  if (stats.isFIFO()) return { kind: 'stream', what: 'a FIFO' };
  if (stats.isCharacterDevice()) return { kind: 'stream', what: 'a device' };
  return { kind: 'special', what: stats.isSocket() ? 'a socket' : 'a device' };
}

/** Undefined if there is nothing. Throws what the system says otherwise. */
async function lookAt(look: () => Promise<Stats>): Promise<Stats | undefined> {
  try {
    return await look();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
