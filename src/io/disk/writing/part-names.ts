/** The names of an unfinished file and of its journal. */

import { createHash } from 'node:crypto';
import { HoplineError } from '../../../core/errors.ts';

export function exists(target: string): HoplineError {
  return new HoplineError('DISK_EXISTS', `${target} exists already`);
}

export function isDirectory(target: string): HoplineError {
  return new HoplineError('DISK_EXISTS', `${target} is a directory`);
}

/**
 * What `base` is called while it is unfinished; wire/name.ts knows such names. Cut so that what is put around it never makes it
 * longer than file systems take.
 */
export function partName(base: string): string {
  if (Buffer.byteLength(base) <= 200) return `.${base}.part`;
  const hash = createHash('sha256').update(base).digest('hex').slice(0, 16);
  return `.${Buffer.from(base).subarray(0, 180).toString('utf8')}.${hash}.part`;
}

export function journalPath(part: string): string {
  return `${part}.journal`;
}
