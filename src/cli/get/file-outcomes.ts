/** Several files, as they are told: while they come, and what became of them. For one command line of files and for a directory. */

import type { FileOutcome } from '../../client/download-result.ts';
import type { FilesEvent } from '../../client/transfer-events.ts';
import type { HoplineError } from '../../core/errors.ts';
import type { Reservation } from '../../io/disk/writing/target.ts';
import { describeHop } from '../../wire/address.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { exitCodeOf, hintFor } from '../terminal/exit-codes.ts';
import { ExitWith } from '../terminal/failure.ts';
import { say } from '../terminal/lines.ts';
import { startConnecting, startFileProgress } from '../terminal/progress.ts';
import { describeHops, jsonOf, sparseNotice, tellReroute } from '../terminal/show.ts';

/** Failures that get a line each; `--json` tells all. */
const maxFailureLines = 20;

export interface FilesTalk {
  readonly event: (event: FilesEvent) => void;
  readonly stop: () => void;
}

/** Shows on stderr how far `files` files over `route` have come; `size` in bytes where it is known. */
export function startFilesTalk(files: number, route: RoutePlan['routes'][number] = [], size?: number): FilesTalk {
  const connecting = startConnecting(route);
  const progress = startFileProgress(files, route.length, size);
  let bytes = 0;
  const settled = { arrived: 0, failed: 0 };
  let warned = false;
  const warnOfSparse = (reservation: Reservation) => {
    if (reservation === 'sparse' && !warned) say(sparseNotice);
    warned ||= reservation === 'sparse';
  };
  return {
    event: (event) => {
      if (event.kind !== 'reroute') connecting.stop();
      if (event.kind === 'progress') bytes = event.bytes;
      if (event.kind === 'settled') settled[event.error ? 'failed' : 'arrived'] += 1;
      if (event.kind === 'retry') {
        progress.say(`${event.file} was damaged on ${describeHops(event.hops)}; asking again`);
      }
      if (event.kind === 'reroute') progress.say(tellReroute(event));
      if (event.kind === 'started') warnOfSparse(event.reservation);
      progress.update({ ...settled, bytes });
    },
    stop: () => {
      connecting.stop();
      progress.stop();
    },
  };
}

/** Prints an event as JSON; what became of a file as `done` or `error`. */
export function printFilesEvent(print: (event: string, fields: object) => void, event: FilesEvent): void {
  if (event.kind !== 'settled') {
    print(event.kind, jsonOf(event));
    return;
  }
  const { file, result, error } = event;
  if (result) print('done', { file, ...result, hops: result.hops.map(describeHop) });
  else print('error', { file, ...jsonOfError(error) });
}

export function jsonOfError(error: HoplineError): object {
  const { code, message, hop, reason } = error;
  return { code, message, hop, reason, hint: hintFor(code), exitCode: exitCodeOf(code) };
}

/** On stderr: a line for each failure, and one for all files that failed together. */
export function tellFailures(outcomes: readonly FileOutcome[]): void {
  const together = new Map<HoplineError, number>();
  for (const { error } of outcomes) if (error) together.set(error, (together.get(error) ?? 0) + 1);
  for (const [error, files] of [...together].slice(0, maxFailureLines)) {
    const prefix = files === 1 ? '' : `${files} files were not fetched: `;
    say(`hopline: ${prefix}${error.message}`);
  }
  const untold = together.size - maxFailureLines;
  if (untold > 0) say(`hopline: and ${untold} more like these; --json names them all`);
  const codes = new Set([...together.keys()].map(({ code }) => code));
  for (const code of codes) say(`  hint: ${hintFor(code)}`);
}

/** Throws `ExitWith` if a file failed: with the code of an interruption, or else of the first failure. */
export function exitAsDue(outcomes: readonly FileOutcome[]): void {
  const failures = outcomes.flatMap(({ error }) => error ?? []);
  const decisive = failures.find(({ code }) => code === 'INTERRUPTED') ?? failures[0];
  if (decisive) throw new ExitWith(exitCodeOf(decisive.code));
}
