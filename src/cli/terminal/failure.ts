/** How a command ends: an error as one line and a hint, then the exit code that the table gives. */

import { asHoplineError, type HoplineError } from '../../core/errors.ts';
import { exitCodeOf } from './exit-codes.ts';
import { jsonLine, say } from './lines.ts';
import { drawRoute } from './route-picture.ts';

/** Thrown by a command that has said why it fails, or another process has. */
export class ExitWith extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, options?: ErrorOptions) {
    super(`exit ${exitCode}`, options);
    this.exitCode = exitCode;
  }
}

/** Runs a command; what it throws is told as an object on `json`, if there is one, and else in words. */
export async function tellFailureOn(
  json: NodeJS.WritableStream | undefined,
  command: () => Promise<void>,
): Promise<void> {
  try {
    await command();
  } catch (error) {
    throw new ExitWith(reportFailure(error, json), { cause: error });
  }
}

/** Tells the user about a failure and returns the exit code. With `json`, as an object on that stream, for scripts. */
export function reportFailure(failure: unknown, json?: NodeJS.WritableStream): number {
  if (failure instanceof ExitWith) return failure.exitCode;
  const error = asHoplineError(failure);
  const exitCode = exitCodeOf(error.code);
  if (json) {
    json.write(jsonLine({ event: 'error', ...jsonOfError(error) }));
  } else {
    for (const line of error.problems ?? [error.message]) say(`hopline: ${line}`);
    for (const line of drawRoute(error, process.stderr.columns || 80)) say(line);
    say(`  hint: ${error.hint}`);
  }
  return exitCode;
}

/** A failure for scripts. */
export function jsonOfError(error: HoplineError): object {
  return { ...error.toJSON(), exitCode: exitCodeOf(error.code) };
}
