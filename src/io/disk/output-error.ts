/** What a failure to write to somebody else's stream says: a full disk behind it is not a reader that went away. */

import { HoplineError, systemCode } from '../../core/errors.ts';

/** `DISK_FULL` or `DISK_FAILED`. */
export function outputError(cause: unknown): HoplineError {
  const reason = systemCode(cause) ?? 'unknown';
  if (reason === 'ENOSPC' || reason === 'EDQUOT') {
    return new HoplineError('DISK_FULL', `there is no room where the output goes (${reason})`, { cause, reason });
  }
  const what = reason === 'EPIPE' ? 'the output was closed' : 'the output failed';
  return new HoplineError('DISK_FAILED', `${what} (${reason})`, { cause, reason });
}
