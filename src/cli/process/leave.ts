/**
 * The way out when something hangs.
 *
 * `process.exit` waits for the threads that read files and look names up. A thread that hangs, on a FIFO or a dead
 * network disk, would keep the process for ever. The C library's `_exit` waits for no thread.
 */

import { createRequire } from 'node:module';

/** Ends the process now, with `code`; without koffi, once no thread hangs. */
export function leave(code: number): void {
  loadExit()?.(code);
  process.exit(code);
}

/** As `leave`, but without koffi by SIGKILL: for when something is known to hang. */
export function leaveHanging(code: number): void {
  loadExit()?.(code);
  process.kill(process.pid, 'SIGKILL');
}

type Exit = (code: number) => void;

function loadExit(): Exit | undefined {
  // Windows has another library.
  if (process.platform === 'win32') return undefined;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as { load(library: null): { func(text: string): Exit } };
    return koffi.load(null).func('void _exit(int)');
  } catch {
    return undefined;
  }
}
