/**
 * What a log says of a failure.
 *
 * Invariant: of what is asked for over a secure circuit no name stands in a log.
 */

import type { HoplineError } from '../core/errors.ts';

/** The errors of a disk that is written to have the name of the file in them. */
export function messageForLog({ code, message }: HoplineError, isSealed: boolean): string {
  return isSealed && code.startsWith('DISK_') ? 'a file of a secure circuit cannot be written' : message;
}
