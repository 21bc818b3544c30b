/** The permissions that the system gives to a new file of this process. */

import { readFileSync } from 'node:fs';

/** Those of a file that may be read and written by whom the user lets. */
export function newFileMode(): number {
  return 0o666 & ~readUmask();
}

/** What the user does not grant to anybody. Node can only ask by setting it for a moment, in which other threads make files that everybody may write to. */
export function readUmask(): number {
  try {
    const mask = /^Umask:\s*([0-7]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
    if (mask !== undefined) return Number.parseInt(mask, 8);
  } catch {
    // No such file: not Linux.
  }
  return process.umask();
}
