/** What is shown of several files, whichever way they go: how far they are, what they come to, and what failed. */

import type { DownloadResult, FileOutcome } from '../../client/download-result.ts';
import type { FilesEvent, UploadsEvent } from '../../client/transfer-events.ts';
import type { UploadResult } from '../../client/upload-result.ts';
import type { HoplineError } from '../../core/errors.ts';
import { hintFor } from '../../core/failure/hints.ts';
import type { Reservation } from '../../io/disk/writing/target.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { exitCodeOf } from '../terminal/exit-codes.ts';
import { ExitWith } from '../terminal/failure.ts';
import { say } from '../terminal/lines.ts';
import { startConnecting, startFileProgress } from '../terminal/progress.ts';
import type { ProgressStyle } from '../terminal/progress-flag.ts';
import type { Report, ReportFlags } from '../terminal/report.ts';
import { type Row, rowOfProof, rowOfSize, sparseNotice, tellDamage, tellReroute } from '../terminal/show.ts';
import { countOf, formatBytes, formatRate } from '../terminal/units.ts';

/** Failures that get a line each; `--json` tells all. */
const maxFailureLines = 20;

interface FilesWords<Result> {
  readonly files: number;
  readonly route?: RoutePlan['routes'][number] | undefined;
  /** Bytes, where it is known. */
  readonly size?: number;
  /** How progress is told. */
  readonly progress?: ProgressStyle | undefined;
  /** Where files go. */
  readonly where: 'here' | 'there';
  /** What is printed in the end. */
  readonly formatResult: (result: Result) => string;
}

/** The report of several files for people. */
export function createFilesTalk<Result>({
  files,
  route = [],
  size,
  progress: style,
  where,
  formatResult,
}: FilesWords<Result>): Report<FilesEvent | UploadsEvent, Result> {
  const connecting = startConnecting(route);
  const progress = startFileProgress(files, route.length, size, style);
  let bytes = 0;
  const settled = { arrived: 0, failed: 0 };
  const kept = { files: 0, bytes: 0 };
  let warned = false;
  const warnOfSparse = (event: { readonly kind: 'started'; readonly reservation?: Reservation }) => {
    const { reservation } = event;
    if (reservation === 'sparse' && !warned) say(sparseNotice);
    warned ||= reservation === 'sparse';
  };
  const tell = (event: FilesEvent | UploadsEvent) => {
    switch (event.kind) {
      case 'started':
        warnOfSparse(event);
        break;
      case 'progress':
        bytes = event.bytes;
        break;
      case 'retry':
        progress.say(tellDamage(event.file, event));
        break;
      case 'reroute':
        progress.say(tellReroute(event));
        break;
      case 'kept':
        kept.files += 1;
        kept.bytes += event.bytes;
        break;
      default:
        settled[event.error ? 'failed' : 'arrived'] += 1;
    }
  };
  return {
    event: (event) => {
      if (event.kind !== 'reroute') connecting.stop();
      tell(event);
      progress.update({ ...settled, bytes });
    },
    done: (result) => void process.stdout.write(formatResult(result)),
    say: progress.say,
    stop: () => {
      connecting.stop();
      progress.stop();
      if (kept.files > 0) say(tellKept(kept, where));
    },
  };
}

function tellKept(
  { files, bytes }: { readonly files: number; readonly bytes: number },
  where: 'here' | 'there',
): string {
  const place = where === 'there' ? ' at the origin' : '';
  const unfinished = countOf(files, 'unfinished file', 'unfinished files');
  return `kept ${formatBytes(bytes)} of ${unfinished}${place}; the same command goes on from there`;
}

/** Tells which files failed, on stderr unless scripts were told. Throws `ExitWith` if one did: as an interruption, or else as the first. */
export function exitAsDue(
  outcomes: readonly FileOutcome<unknown>[],
  { json }: ReportFlags,
  verb: 'fetched' | 'sent',
): void {
  if (!json) tellFailures(outcomes, verb);
  const failures = outcomes.flatMap(({ error }) => error ?? []);
  const decisive = failures.find(({ code }) => code === 'INTERRUPTED') ?? failures[0];
  if (decisive) throw new ExitWith(exitCodeOf(decisive.code));
}

/** A line for each failure, and one for all files that failed together. */
function tellFailures(outcomes: readonly FileOutcome<unknown>[], verb: string): void {
  const together = new Map<HoplineError, number>();
  for (const { error } of outcomes) if (error) together.set(error, (together.get(error) ?? 0) + 1);
  for (const [error, files] of [...together].slice(0, maxFailureLines)) {
    const prefix = files === 1 ? '' : `${files} files were not ${verb}: `;
    say(`hopline: ${prefix}${error.message}`);
  }
  const untold = together.size - maxFailureLines;
  if (untold > 0) say(`hopline: and ${untold} more like these; --json names them all`);
  const codes = new Set([...together.keys()].map(({ code }) => code));
  for (const code of codes) say(`  hint: ${hintFor(code)}`);
}

/** What became of a file, whichever way it went. */
type MovedOutcome = FileOutcome<DownloadResult | UploadResult>;

/** Whether nothing was moved, since both ends had the same. */
function wasThere(result: DownloadResult | UploadResult): boolean {
  return 'alreadyHere' in result ? result.alreadyHere : result.alreadyThere;
}

/** How many of `files` files were moved, and how many needed not be. */
export function describeMoved(outcomes: readonly MovedOutcome[], files: number): string {
  const results = outcomes.flatMap(({ result }) => result ?? []);
  const same = results.filter(wasThere);
  const where = same.some((result) => 'alreadyHere' in result) ? 'here' : 'there';
  const told = same.length > 0 ? `, ${same.length} already ${where} and the same` : '';
  return `${results.length - same.length} of ${files} files${told}`;
}

/** How many took the place of another, if any did. */
export function describeReplaced(outcomes: readonly MovedOutcome[]): string {
  const replaced = outcomes.filter(({ result }) => result?.replaced).length;
  return replaced > 0 ? ` (${replaced} replaced)` : '';
}

/** What came, how fast, and whose word it is that it is right. */
export function rowsOfContent(outcomes: readonly MovedOutcome[], elapsedMs: number): Row[] {
  const results = outcomes.flatMap(({ result }) => result ?? []);
  const size = results.reduce((sum, result) => sum + result.size, 0);
  const moved = results.filter((result) => !wasThere(result));
  const movedBytes = moved.reduce((sum, result) => sum + result.size - result.resumedBytes, 0);
  const perSecond = moved.length / Math.max(elapsedMs / 1000, 0.001);
  const seconds = (elapsedMs / 1000).toFixed(2);
  const rate = formatRate(movedBytes, elapsedMs);
  return [
    rowOfSize(size),
    ...(moved.length > 0 ? [['speed', `${rate}, ${formatPerSecond(perSecond)}, ${seconds} s`] as const] : []),
    results.length === 0
      ? ['arrived', 'no file']
      : moved.length > 0
        ? rowOfProof(describePart(results.length, outcomes.length, 'that did'), results)
        : rowOfProof(describePart(results.length, outcomes.length, 'that are'), results, { wasThere: true }),
  ];
}

function describePart(part: number, files: number, which: string): string {
  return part === files ? 'every piece of every file' : `every piece of the ${part} ${which}`;
}

/** Below ten a second the fraction counts, and below one a tenth may be all there is. */
function formatPerSecond(files: number): string {
  if (files >= 10 || files === 0) return `${Math.round(files)} files/s`;
  return files < 0.1 ? 'less than 0.1 files/s' : `${files.toFixed(1)} files/s`;
}
