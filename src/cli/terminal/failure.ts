/** How a command ends: an error as one line and a hint, then the exit code that the table gives. */

import { asHoplineError } from '../../core/errors.ts';
import { exitCodeOf, hintFor } from './exit-codes.ts';
import { jsonLine, say } from './lines.ts';

/** Thrown by a command whose exit code was decided by another process, which has said why. */
export class ExitWith extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`exit ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** Tells the user about a failure and returns the exit code. With `json`, as an object on that stream, for scripts. */
export function reportFailure(failure: unknown, json?: NodeJS.WritableStream): number {
  if (failure instanceof ExitWith) return failure.exitCode;
  const error = asHoplineError(failure);
  const exitCode = exitCodeOf(error.code);
  if (json) {
    const { code, message, hop, reason, problems } = error;
    const fields = { event: 'error', code, message, hop, reason, problems, hint: hintFor(code), exitCode };
    json.write(jsonLine(fields));
  } else {
    for (const line of error.problems ?? [error.message]) say(`hopline: ${line}`);
    say(`  hint: ${hintFor(error.code)}`);
  }
  return exitCode;
}
