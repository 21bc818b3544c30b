/** `hopline get` for several files: what is shown of them, and the exit code of the first that failed. */

import path from 'node:path';
import { downloadFiles } from '../../client/download/several-files.ts';
import type { FileOutcome } from '../../client/download-result.ts';
import type { TransferOptions } from '../../client/transfer.ts';
import type { FilesEvent } from '../../client/transfer-events.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { formatRows } from '../terminal/lines.ts';
import { createReport } from '../terminal/report.ts';
import { describeRoutes, jsonOfRoutes, type Row, rowOfProof, rowOfSize } from '../terminal/show.ts';
import { formatRate } from '../terminal/units.ts';
import { createFilesTalk, exitAsDue, type GetFilesFlags, refuseFlagsOfOne } from './file-outcomes.ts';

type Routes = RoutePlan['routes'];

/** Downloads `files` over `routes`. Throws `ExitWith` once failures have been told. */
export async function getFiles(
  routes: Routes,
  files: readonly string[],
  flags: GetFilesFlags,
  transfer: TransferOptions,
): Promise<void> {
  refuseFlagsOfOne(flags, 'not several');
  const { output = '.', force, resume } = flags;
  const started = performance.now();
  const formatResult = (outcomes: readonly FileOutcome[]) =>
    formatSummary(routes, outcomes, performance.now() - started);
  const report = createReport<FilesEvent, readonly FileOutcome[]>(flags, process.stdout, {
    route: { files: files.length, routes: jsonOfRoutes(routes) },
    text: () => createFilesTalk({ files: files.length, route: routes[0], progress: flags.progress, formatResult }),
  });
  const options = { routes, files, output, force, resume, ...transfer, onEvent: report.event };
  const outcomes = await downloadFiles(options).finally(report.stop);
  report.done(outcomes);
  exitAsDue(outcomes, flags);
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
export function rowsOfContent(outcomes: readonly FileOutcome[], elapsedMs: number): Row[] {
  const results = outcomes.flatMap(({ result }) => result ?? []);
  const size = results.reduce((sum, result) => sum + result.size, 0);
  const fetched = results.filter(({ alreadyHere }) => !alreadyHere);
  const moved = fetched.reduce((sum, result) => sum + result.size, 0);
  const perSecond = fetched.length / Math.max(elapsedMs / 1000, 0.001);
  const seconds = (elapsedMs / 1000).toFixed(2);
  return [
    rowOfSize(size),
    ['speed', `${formatRate(moved, elapsedMs)}, ${formatPerSecond(perSecond)}, ${seconds} s`],
    results.length === 0
      ? ['arrived', 'no file']
      : rowOfProof(describeArrived(results.length, outcomes.length), results),
  ];
}

function describeArrived(arrived: number, files: number): string {
  return arrived === files ? 'every piece of every file' : `every piece of the ${arrived} that did`;
}

/** Below ten a second the fraction counts, and below one a tenth may be all there is. */
function formatPerSecond(files: number): string {
  if (files >= 10 || files === 0) return `${Math.round(files)} files/s`;
  return files < 0.1 ? 'less than 0.1 files/s' : `${files.toFixed(1)} files/s`;
}
