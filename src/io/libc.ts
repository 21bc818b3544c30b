/**
 * The few calls of the C library that Node does not offer, through koffi where it loads.
 *
 * Owns the bindings and their failure codes. Everything here has a portable
 * path beside it: a caller that gets `undefined` uses that one.
 */

import { createRequire } from 'node:module';
import { constants } from 'node:os';

interface Koffi {
  load(library: string): { func(declaration: string): { async(...parameters: unknown[]): void } };
  errno(): number;
}

/** Reserves the first `bytes` of the open file; resolves to 0 or to an errno. */
export type Fallocate = (fd: number, bytes: number) => Promise<number>;

/** Linux's fallocate(2), or undefined where it cannot be called. */
export function loadFallocate(): Fallocate | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as Koffi;
    // posix_fallocate would do, but it writes zeros where the file system cannot reserve, and that takes minutes.
    const fallocate = koffi.load('libc.so.6').func('int fallocate(int fd, int mode, int64_t offset, int64_t length)');
    return (fd, bytes) =>
      new Promise((resolve) => {
        fallocate.async(fd, 0, 0, bytes, (error: unknown, result: number) => {
          resolve(error || result !== 0 ? koffi.errno() || constants.errno.EIO : 0);
        });
      });
  } catch {
    return undefined;
  }
}
