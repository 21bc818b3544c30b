/** `hopline get` for several files: what is shown of them, and the exit code of the first that failed. */

import path from 'node:path';
import { downloadFiles } from '../../client/download/download-files.ts';
import type { FileOutcome } from '../../client/download-result.ts';
import type { TransferOptions } from '../../client/transfer.ts';
import { HoplineError } from '../../core/errors.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { formatRows } from '../terminal/lines.ts';
import { describeRoutes, jsonOfRoutes, rowOfProof, startJsonLines } from '../terminal/show.ts';
import { formatBytes, formatRate } from '../terminal/units.ts';
import { exitAsDue, type FilesTalk, printFilesEvent, startFilesTalk, tellFailures } from './file-outcomes.ts';

export interface GetFilesFlags {
  readonly output?: string;
  readonly force?: boolean;
  readonly classic?: boolean;
  readonly checksum?: object;
  readonly parallel?: number;
  readonly quiet?: boolean;
  readonly json?: boolean;
  readonly resume: boolean;
}

type Routes = RoutePlan['routes'];

/** Downloads `files` over `routes`. Throws `ExitWith` once failures have been told. */
export async function getFiles(
  routes: Routes,
  files: readonly string[],
  flags: GetFilesFlags,
  transfer: TransferOptions,
): Promise<void> {
  const { output = '.', force, resume } = flags;
  if (output === '-') throw new HoplineError('USAGE_INVALID', '-o - takes one file, not several');
  if (flags.classic) throw new HoplineError('USAGE_INVALID', '--classic takes one file, not several');
  if (flags.checksum !== undefined) throw new HoplineError('USAGE_INVALID', '--checksum takes one file, not several');
  if (flags.parallel !== undefined) throw new HoplineError('USAGE_INVALID', '--parallel takes one file, not several');
  const show = flags.json ? showJson : flags.quiet ? showErrors : showText;
  const finish = show(routes, files);
  const started = performance.now();
  const options = { routes, files, output, force, resume, ...transfer, onEvent: finish.event };
  const outcomes = await downloadFiles(options).finally(finish.stop);
  finish.summary(outcomes, performance.now() - started);
  exitAsDue(outcomes);
}

interface Show extends FilesTalk {
  readonly summary: (outcomes: readonly FileOutcome[], elapsedMs: number) => void;
}

function showJson(routes: Routes, files: readonly string[]): Show {
  const print = startJsonLines(process.stdout);
  print('route', { files: files.length, routes: jsonOfRoutes(routes) });
  return { event: (event) => printFilesEvent(print, event), stop: () => {}, summary: () => {} };
}

function showErrors(): Show {
  return { event: () => {}, stop: () => {}, summary: tellFailures };
}

function showText(routes: Routes, files: readonly string[]): Show {
  return {
    ...startFilesTalk(files.length, routes[0]),
    summary: (outcomes, elapsedMs) => {
      process.stdout.write(formatSummary(routes, outcomes, elapsedMs));
      tellFailures(outcomes);
    },
  };
}

function formatSummary(routes: Routes, outcomes: readonly FileOutcome[], elapsedMs: number): string {
  const results = outcomes.flatMap(({ result }) => result ?? []);
  const [first] = results;
  const where = first?.path ? ` in ${path.relative('', path.dirname(first.path)) || '.'}` : '';
  return formatRows([
    ['route', describeRoutes(routes)],
    ['saved', `${describeSaved(outcomes, outcomes.length)}${where}${describeReplaced(outcomes)}`],
    ...rowsOfContent(outcomes, elapsedMs),
  ]);
}

/** How many of `files` files came, and how many were here. */
export function describeSaved(outcomes: readonly FileOutcome[], files: number): string {
  const results = outcomes.flatMap(({ result }) => result ?? []);
  const here = results.filter(({ alreadyHere }) => alreadyHere).length;
  const told = here > 0 ? `, ${here} already here and the same` : '';
  return `${results.length - here} of ${files} files${told}`;
}

/** How many took the place of another, if any did. */
export function describeReplaced(outcomes: readonly FileOutcome[]): string {
  const replaced = outcomes.filter(({ result }) => result?.replaced).length;
  return replaced > 0 ? ` (${replaced} replaced)` : '';
}

/** What came, how fast, and whose word it is that it is right. */
export function rowsOfContent(
  outcomes: readonly FileOutcome[],
  elapsedMs: number,
): (readonly [label: string, text: string])[] {
  const results = outcomes.flatMap(({ result }) => result ?? []);
  const size = results.reduce((sum, result) => sum + result.size, 0);
  const fetched = results.filter(({ alreadyHere }) => !alreadyHere);
  const moved = fetched.reduce((sum, result) => sum + result.size, 0);
  const perSecond = fetched.length / Math.max(elapsedMs / 1000, 0.001);
  const seconds = (elapsedMs / 1000).toFixed(2);
  return [
    ['size', `${formatBytes(size)} (${size} bytes)`],
    ['speed', `${formatRate(moved, elapsedMs)}, ${formatPerSecond(perSecond)}, ${seconds} s`],
    results.length === 0
      ? ['arrived', 'no file']
      : rowOfProof(describePieces(results.length, outcomes.length), results),
  ];
}

function describePieces(arrived: number, files: number): string {
  return arrived === files ? 'every piece of every file' : `every piece of the ${arrived} that did`;
}

/** Below ten a second the fraction counts, and below one a tenth may be all there is. */
function formatPerSecond(files: number): string {
  if (files >= 10 || files === 0) return `${Math.round(files)} files/s`;
  return files < 0.1 ? 'less than 0.1 files/s' : `${files.toFixed(1)} files/s`;
}
