/**
 * Failures that nobody expected, in a service: each is logged and counted, and only one that leaves the state in doubt
 * ends the service.
 *
 * A rejection ends its own task, whose `finally` has run; an error event of a socket or a file ends that socket or file.
 * An exception thrown anywhere else may have left shared state half changed.
 * Documentation: docs/exit-codes.md#defects
 */

import { asHoplineError, HoplineError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { systemCode } from '../../core/system-errors.ts';
import { takeExceptions } from './exceptions.ts';

/** From now on they are written to `log`; `stop` is called when the service's own state is in doubt. The function returned ends that. */
export function judgeExceptions(log: Pick<Logger, 'error'>, stop: () => void): () => void {
  let count = 0;
  return takeExceptions((error, isRejection) => {
    count += 1;
    const isInDoubt = !isRejection && !(error instanceof HoplineError) && !isOfSystem(error);
    const { code, message } = asHoplineError(error);
    const fields = { code, reason: systemCode(error), error: message, at: placeOf(error), count };
    const what = isInDoubt ? 'the state is in doubt, so it stops' : 'only what it happened to ends';
    log.error(fields, `a failure that nobody expected: ${what}`);
    if (isInDoubt) stop();
  });
}

/** Told by the system of a socket, a file or a process. */
function isOfSystem(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}

/** Where it was thrown: the first place of its stack. */
function placeOf(error: unknown): string | undefined {
  const { stack } = error instanceof Error ? error : { stack: undefined };
  return /^ +at (.*)$/m.exec(stack ?? '')?.[1];
}
