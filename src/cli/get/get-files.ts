/** `hopline get` for several files: what is shown of them, and the exit code of the first that failed. */

import path from 'node:path';
import { downloadFiles } from '../../client/download/several-files.ts';
import type { FileOutcome } from '../../client/download-result.ts';
import type { TransferOptions } from '../../client/transfer.ts';
import type { FilesEvent } from '../../client/transfer-events.ts';
import { HoplineError } from '../../core/errors.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { type FilterFlags, isForTrees } from '../files/file-filter.ts';
import { createFilesTalk, describeMoved, describeReplaced, exitAsDue, rowsOfContent } from '../files/file-outcomes.ts';
import { formatRows } from '../terminal/lines.ts';
import { createReport, type ReportFlags } from '../terminal/report.ts';
import { describeRoutes, jsonOfRoutes } from '../terminal/show.ts';

export interface GetFilesFlags extends ReportFlags {
  readonly output?: string;
  readonly force?: boolean;
  readonly classic?: boolean;
  readonly checksum?: object;
  readonly parallel?: number;
  readonly resume: boolean;
}

type Routes = RoutePlan['routes'];

/** Downloads `files` over `routes`. Throws `ExitWith` once failures have been told. */
export async function getFiles(
  routes: Routes,
  files: readonly string[],
  flags: GetFilesFlags & FilterFlags,
  transfer: TransferOptions,
): Promise<void> {
  refuseFlagsOfOne(flags, 'not several');
  if (isForTrees(flags)) {
    const flag = flags.dryRun ? '--dry-run' : '--files-from';
    throw new HoplineError('USAGE_INVALID', `${flag} takes one directory, not several files`);
  }
  const { output = '.', force, resume, parallel } = flags;
  const started = performance.now();
  const formatResult = (outcomes: readonly FileOutcome[]) =>
    formatSummary(routes, outcomes, performance.now() - started);
  const report = createReport<FilesEvent, readonly FileOutcome[]>(flags, process.stdout, {
    route: { files: files.length, routes: jsonOfRoutes(routes) },
    text: () =>
      createFilesTalk({ files: files.length, route: routes[0], progress: flags.progress, where: 'here', formatResult }),
  });
  const options = { routes, files, output, force, resume, parallel, ...transfer, onEvent: report.event };
  const outcomes = await downloadFiles(options).finally(report.stop);
  report.done(outcomes);
  exitAsDue(outcomes, flags, 'fetched');
}

function formatSummary(routes: Routes, outcomes: readonly FileOutcome[], elapsedMs: number): string {
  const results = outcomes.flatMap(({ result }) => result ?? []);
  const [first] = results;
  const where = first?.path ? ` in ${path.relative('', path.dirname(first.path)) || '.'}` : '';
  return formatRows([
    ['route', describeRoutes(routes)],
    ['saved', `${describeMoved(outcomes, outcomes.length)}${where}${describeReplaced(outcomes)}`],
    ...rowsOfContent(outcomes, elapsedMs),
  ]);
}

/** Throws `USAGE_INVALID` for flags that go with one file alone, unlike what there is `instead`. */
export function refuseFlagsOfOne(flags: GetFilesFlags, instead: string): void {
  const flagsOfOne = {
    '-o -': flags.output === '-',
    '--classic': flags.classic,
    '--checksum': flags.checksum,
  };
  const [given] = Object.entries(flagsOfOne).find(([, value]) => value) ?? [];
  if (given) throw new HoplineError('USAGE_INVALID', `${given} takes one file, ${instead}`);
}
