/** What is shown of several files, for those of a command line and those of a directory: how far they are, and what failed. */

import type { FileOutcome } from '../../client/download-result.ts';
import type { FilesEvent } from '../../client/transfer-events.ts';
import { HoplineError } from '../../core/errors.ts';
import type { Reservation } from '../../io/disk/writing/target.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { exitCodeOf, hintFor } from '../terminal/exit-codes.ts';
import { ExitWith } from '../terminal/failure.ts';
import { say } from '../terminal/lines.ts';
import { startConnecting, startFileProgress } from '../terminal/progress.ts';
import type { ProgressStyle } from '../terminal/progress-flag.ts';
import type { Report, ReportFlags } from '../terminal/report.ts';
import { sparseNotice, tellDamage, tellReroute } from '../terminal/show.ts';

export interface GetFilesFlags extends ReportFlags {
  readonly output?: string;
  readonly force?: boolean;
  readonly classic?: boolean;
  readonly checksum?: object;
  readonly parallel?: number;
  readonly resume: boolean;
}

/** Failures that get a line each; `--json` tells all. */
const maxFailureLines = 20;

interface FilesWords<Result> {
  readonly files: number;
  readonly route?: RoutePlan['routes'][number] | undefined;
  /** Bytes, where it is known. */
  readonly size?: number;
  /** How progress is told. */
  readonly progress?: ProgressStyle | undefined;
  /** What is printed in the end. */
  readonly formatResult: (result: Result) => string;
}

/** The report of several files for people. */
export function createFilesTalk<Result>({
  files,
  route = [],
  size,
  progress: style,
  formatResult,
}: FilesWords<Result>): Report<FilesEvent, Result> {
  const connecting = startConnecting(route);
  const progress = startFileProgress(files, route.length, size, style);
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
      if (event.kind === 'retry') progress.say(tellDamage(event.file, event));
      if (event.kind === 'reroute') progress.say(tellReroute(event));
      if (event.kind === 'started') warnOfSparse(event.reservation);
      progress.update({ ...settled, bytes });
    },
    done: (result) => void process.stdout.write(formatResult(result)),
    say: progress.say,
    stop: () => {
      connecting.stop();
      progress.stop();
    },
  };
}

/** Throws `USAGE_INVALID` for flags that go with one file alone, unlike what there is `instead`. */
export function refuseFlagsOfOne(flags: GetFilesFlags, instead: string): void {
  const flagsOfOne = {
    '-o -': flags.output === '-',
    '--classic': flags.classic,
    '--checksum': flags.checksum,
    '--parallel': flags.parallel,
  };
  const [given] = Object.entries(flagsOfOne).find(([, value]) => value) ?? [];
  if (given) throw new HoplineError('USAGE_INVALID', `${given} takes one file, ${instead}`);
}

/** Tells which files failed, on stderr unless scripts were told. Throws `ExitWith` if one did: as an interruption, or else as the first. */
export function exitAsDue(outcomes: readonly FileOutcome[], { json }: GetFilesFlags): void {
  if (!json) tellFailures(outcomes);
  const failures = outcomes.flatMap(({ error }) => error ?? []);
  const decisive = failures.find(({ code }) => code === 'INTERRUPTED') ?? failures[0];
  if (decisive) throw new ExitWith(exitCodeOf(decisive.code));
}

/** A line for each failure, and one for all files that failed together. */
function tellFailures(outcomes: readonly FileOutcome[]): void {
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
