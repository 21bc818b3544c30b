/**
 * Linux's openat2(2) with RESOLVE_CACHED, through koffi where it loads: opens what the kernel finds the way to in its memory.
 *
 * Invariant: no disk is waited for on the way; whoever gets nothing opens the usual way, which tells why.
 */

import { loadKoffi } from '../libc.ts';
import { AT_FDCWD, O_CLOEXEC } from '../numbers.ts';

/**
 * The descriptor, or undefined. Flags that make something are not for it. With `from`, an open directory, the path begins there,
 * and stays on the file system that it is on.
 */
export type OpenCached = (path: string, flags: number, from?: number) => number | undefined;

/** The same on all machines that have it. */
const SYS_openat2 = 437;
const RESOLVE_NO_XDEV = 0x01n;
const RESOLVE_CACHED = 0x20n;

/** Undefined where there is no such call, or where it is not allowed. */
export function loadOpenCached(): OpenCached | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const declaration = 'intptr_t syscall(intptr_t number, int from, const char *path, void *how, size_t bytes)';
    const syscall = loadKoffi().load(null).func(declaration);
    /** One struct open_how. */
    const how = new BigUint64Array(3);
    const open: OpenCached = (path, flags, from) => {
      how.set([BigInt(flags | O_CLOEXEC), 0n, from === undefined ? RESOLVE_CACHED : RESOLVE_CACHED | RESOLVE_NO_XDEV]);
      const fd = syscall(SYS_openat2, from ?? AT_FDCWD, path, how, how.byteLength);
      return fd < 0 ? undefined : fd;
    };
    return open;
  } catch {
    return undefined;
  }
}
