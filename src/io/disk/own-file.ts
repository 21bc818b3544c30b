/**
 * Whether a file is what it is taken for: one that a run of this user left, or the very one that is open.
 *
 * Anybody who may write to a directory can plant a file in it, under any name and in the place of any other.
 */

import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { isShortage, systemCode } from '../../core/system-errors.ts';

/**
 * For opening a file by a name under which anything may stand: no link is followed, and no FIFO waited for. Windows has
 * neither flag, and no such FIFO.
 */
export const ownFileFlags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** What lets others than its owner write to a file. */
const othersWrite = 0o022;

export function withoutOthers(mode: number): number {
  return mode & ~othersWrite;
}

/** Regular, this user's, and written to by nobody else. Windows has neither owners nor modes to go by. */
export function isOwn(found: BigIntStats): boolean {
  const user = process.geteuid?.();
  if (!found.isFile() || user === undefined) return found.isFile();
  return found.uid === BigInt(user) && (Number(found.mode) & othersWrite) === 0;
}

/** Opens one to be read; undefined if there is none, or something else stands there. Throws where the machine cannot open it now. */
export function openOwn(path: string): Promise<FileHandle | undefined> {
  return openIf(isOwn, path);
}

/** The same, whoever's it is. */
export function openRegular(path: string): Promise<FileHandle | undefined> {
  return openIf((found) => found.isFile(), path);
}

async function openIf(isFit: (found: BigIntStats) => boolean, path: string): Promise<FileHandle | undefined> {
  const handle = await open(path, ownFileFlags).catch((error) => {
    if (isShortage(error)) throw error;
    return undefined;
  });
  const found = await handle?.stat({ bigint: true }).catch(() => undefined);
  if (found && isFit(found)) return handle;
  await handle?.close();
  return undefined;
}

/** Whether `path` names the file that the system said `opened` of; a link to it does not. Throws what the system says. */
export async function isAt(path: string, opened: BigIntStats): Promise<boolean> {
  try {
    const named = await lstat(path, { bigint: true });
    return named.ino === opened.ino && named.dev === opened.dev;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}
