/** `hopline sync --up`: what is shown of a directory that goes to an origin, and the exit code of the first file that failed. */

import type { TransferOptions } from '../../client/transfer.ts';
import type { UploadsEvent, UploadTreeEvent } from '../../client/transfer-events.ts';
import { type UploadTreeResult, uploadTree } from '../../client/upload/upload-tree.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { type FilterFlags, readFileFilter } from '../files/file-filter.ts';
import { createFilesTalk, describeMoved, describeReplaced, exitAsDue, rowsOfContent } from '../files/file-outcomes.ts';
import { formatRows, say } from '../terminal/lines.ts';
import type { ProgressStyle } from '../terminal/progress-flag.ts';
import { createReport, noReport, type Report, type ReportFlags } from '../terminal/report.ts';
import { describeRoutes, jsonOfRoutes, type Row, tellReroute } from '../terminal/show.ts';
import { countOf, formatBytes } from '../terminal/units.ts';
import { rowsOfLeftOut } from './put-files.ts';

/** Makes the directory that is the file of `route` the same as `source`. Throws `USAGE_INVALID`, and `ExitWith` once failures have been told. */
export async function putTree(
  { file: directory, routes }: RoutePlan,
  source: string,
  flags: ReportFlags & FilterFlags & { readonly parallel?: number },
  transfer: TransferOptions,
): Promise<void> {
  const report = createReport<UploadTreeEvent, UploadTreeResult>(flags, process.stdout, {
    route: { directory, routes: jsonOfRoutes(routes) },
    result: (result) => ['summary', countOutcomes(result)],
    text: () => createTreeTalk(directory, routes, flags.progress),
  });
  const filter = await readFileFilter(flags);
  const choices = { select: filter?.selects, dryRun: flags.dryRun, parallel: flags.parallel };
  const onEvent = (event: UploadTreeEvent) => {
    // What is asked about from here on is at the origin, and may be missing here.
    if (event.kind === 'listed') filter?.closeList();
    report.event(event);
  };
  const options = { routes, source, directory, ...choices, ...transfer, onEvent };
  const result = await uploadTree(options).finally(report.stop);
  report.done(result);
  exitAsDue(result.outcomes, flags, 'sent');
  filter?.checkList();
}

function countOutcomes({ outcomes, ...counts }: UploadTreeResult): object {
  const failed = outcomes.filter(({ error }) => error).length;
  return { ...counts, sent: outcomes.length - failed, failed };
}

/** Until all was compared there is no progress to show, but another way may have to be taken. */
function createTreeTalk(
  directory: string,
  routes: RoutePlan['routes'],
  progress: ProgressStyle | undefined,
): Report<UploadTreeEvent, UploadTreeResult> {
  const formatResult = (result: UploadTreeResult) => formatSummary(directory, routes, result);
  let talk: Report<UploadsEvent, UploadTreeResult> = {
    ...noReport,
    event: (event) => event.kind === 'reroute' && say(tellReroute(event)),
  };
  return {
    event: (event) => {
      if (event.kind !== 'listed') return talk.event(event);
      const { due } = event;
      talk = createFilesTalk({
        files: due.files,
        route: routes[0],
        size: due.size,
        progress,
        where: 'there',
        formatResult,
      });
    },
    done: (result) => talk.done(result),
    say,
    stop: () => talk.stop(),
  };
}

function formatSummary(directory: string, routes: RoutePlan['routes'], result: UploadTreeResult): string {
  const { outcomes, unchanged, files, size, due, planned, extra, leftOut, elapsedMs } = result;
  const sent = planned
    ? `nothing (--dry-run); due are ${countOf(due.files, 'file', 'files')}, ${formatBytes(due.size)}`
    : due.files === 0
      ? 'nothing, every file is there already'
      : `${describeMoved(outcomes, due.files)}${describeReplaced(outcomes)}`;
  const rows: Row[] = [
    ['route', describeRoutes(routes)],
    ['tree', `${directory}: ${countOf(files, 'file', 'files')}, ${formatBytes(size)}`],
    ...(planned ?? []).map((name) => ['would put', name] as const),
    ['sent', sent],
  ];
  if (unchanged > 0 && due.files > 0) rows.push(['there', `${countOf(unchanged, 'file', 'files')}, unchanged`]);
  if (due.files > 0 && !planned) rows.push(...rowsOfContent(outcomes, elapsedMs));
  rows.push(...rowsOfLeftOut(leftOut));
  if (extra.length > 0)
    rows.push(['extra', `${countOf(extra.length, 'file', 'files')} there and not here, left as they are`]);
  return formatRows(rows);
}
