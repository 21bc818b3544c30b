/**
 * Files that are open before they have a name: how Linux gives them their first one, through koffi where it loads.
 *
 * Elsewhere, and where a file system has no such files, the portable path is a part file.
 */

import { constants } from 'node:os';
import { loadKoffi } from '../libc.ts';
import { AT_FDCWD } from '../numbers.ts';

/** Gives an open file its first name, and never one that is taken: 0, or an errno. */
export interface LinkOpen {
  readonly now: (fd: number, name: string) => number;
  /** For whoever must not wait for the disk. */
  readonly later: (fd: number, name: string) => Promise<number>;
}

const AT_SYMLINK_FOLLOW = 0x400;

/** Linux's linkat(2), or undefined. */
export function loadLinkOpen(): LinkOpen | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const koffi = loadKoffi();
    const linkat = koffi.load(null).func('int linkat(int from, const char *old, int to, const char *name, int flags)');
    const told = (result: number) => (result === 0 ? 0 : koffi.errno() || constants.errno.EIO);
    // By its descriptor, so that it is this file and no other.
    const parameters = (fd: number, name: string) =>
      [AT_FDCWD, `/proc/self/fd/${fd}`, AT_FDCWD, name, AT_SYMLINK_FOLLOW] as const;
    return {
      now: (fd, name) => told(linkat(...parameters(fd, name))),
      later: (fd, name) =>
        new Promise((resolve) => {
          const settle = (error: unknown, result: number) => resolve(error ? constants.errno.EIO : told(result));
          linkat.async(...parameters(fd, name), settle);
        }),
    };
  } catch {
    return undefined;
  }
}
