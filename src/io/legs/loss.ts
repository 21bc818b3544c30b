/** How a broken connection is told, in the same words on every path that bytes take. */

import { getSystemErrorName } from 'node:util';
import { HoplineError } from '../../core/errors.ts';
import { inWords, systemCode } from '../../core/system-errors.ts';

/** The connection with `peer` broke, or was closed when it should not have been. */
export function lost(peer: string, cause?: unknown): HoplineError {
  const reason = systemCode(cause);
  const how = reason === undefined ? 'closed' : `lost: ${inWords(reason)}`;
  return new HoplineError('PEER_LOST', `the connection with ${peer} was ${how}`, {
    cause,
    ...(reason === undefined ? {} : { reason }),
  });
}

/** No connection came to be. */
export function unreachable(peer: string, cause: Error): HoplineError {
  const reason = systemCode(cause);
  return new HoplineError(
    'PEER_UNREACHABLE',
    `no connection to ${peer}: ${reason === undefined ? cause.message : inWords(reason)}`,
    {
      cause,
      ...(reason === undefined ? {} : { reason }),
    },
  );
}

/** A call of the system that failed, as Node tells of its own; `code` is the system's. */
export function failedCall(call: string, errno: number, where = ''): Error & { readonly code: string } {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${call} ${code} ${where}`.trimEnd()), { errno: -errno, code, syscall: call });
}

/** No byte moved for too long. */
export function idled(peer: string, idleMs: number): HoplineError {
  return new HoplineError('TIMEOUT_IDLE', `no byte moved between here and ${peer} for ${idleMs / 1000} s`);
}
