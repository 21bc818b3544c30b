/** `hopline get` for a directory: what is shown of it, and the exit code of the first file that failed. */

import path from 'node:path';
import { downloadTree, type TreeResult } from '../../client/download/download-tree.ts';
import type { TransferOptions } from '../../client/transfer.ts';
import type { FilesEvent, TreeEvent } from '../../client/transfer-events.ts';
import { removeExtraFiles } from '../../io/disk/tree/extra-files.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { type FilterFlags, readFileFilter } from '../files/file-filter.ts';
import { createFilesTalk, describeMoved, describeReplaced, exitAsDue, rowsOfContent } from '../files/file-outcomes.ts';
import { refuseIncomplete } from '../terminal/incomplete-listing.ts';
import { formatRows, say } from '../terminal/lines.ts';
import type { ProgressStyle } from '../terminal/progress-flag.ts';
import { createReport, noReport, type Report } from '../terminal/report.ts';
import { describeRoutes, type Row, tellReroute } from '../terminal/show.ts';
import { countOf, formatBytes } from '../terminal/units.ts';
import { type GetFilesFlags, refuseFlagsOfOne } from './get-files.ts';

/** Downloads the directory that is the file of `route`. Throws `USAGE_INVALID`, and `ExitWith` once failures have been told. */
export async function getTree(
  route: RoutePlan,
  flags: GetFilesFlags & FilterFlags,
  transfer: TransferOptions,
  sync?: Sync,
): Promise<void> {
  const { file: directory, routes } = route;
  const { output, force, resume, parallel } = flags;
  refuseFlagsOfOne(flags, `and "${directory}" is a directory`);
  const filter = await readFileFilter(flags);
  const isWhole = ({ outcomes, skipped }: TreeResult) =>
    skipped.names + skipped.unreadable === 0 && (filter?.isListWhole() ?? true) && !outcomes.some(({ error }) => error);
  const report = createReport<TreeEvent, TreeResult>(flags, process.stdout, {
    result: (result) => ['summary', countOutcomes(result)],
    text: () => createTreeTalk(routes, flags.progress, sync && { ...sync, isWhole }),
  });
  const onEvent = (event: TreeEvent) => {
    // What is asked about from here on is here, and may be missing at the origin.
    if (event.kind === 'listed') filter?.closeList();
    report.event(event);
  };
  const choices = { output, force, resume, parallel, select: filter?.selects, dryRun: flags.dryRun, into: sync?.into };
  const options = { routes, directory, ...choices, findsExtra: sync !== undefined, ...transfer, onEvent };
  const result = await downloadTree(options).finally(report.stop);
  report.done(result);
  exitAsDue(result.outcomes, flags, 'fetched');
  refuseIncomplete(directory, result.skipped);
  filter?.checkList();
  // Only now: all that was to come is here, and the listing is known to be whole.
  if (sync?.deletes && !flags.dryRun && result.extra) await removeExtraFiles(result.path, result.extra);
}

/** What makes a copy of a directory. */
export interface Sync {
  /** The directory that is the copy. */
  readonly into: string;
  /** Whether files that the origin does not have are removed, once they are listed. */
  readonly deletes: boolean;
}

interface ShownSync extends Sync {
  /** Whether all that was to come is here: nothing is removed otherwise. */
  readonly isWhole: (result: TreeResult) => boolean;
}

function countOutcomes({ outcomes, links, ...counts }: TreeResult): object {
  const failed = outcomes.filter(({ error }) => error).length;
  const alreadyHere = outcomes.filter(({ result }) => result?.alreadyHere).length;
  const fetched = outcomes.length - failed - alreadyHere;
  return { ...counts, links: links.length, fetched, alreadyHere, failed };
}

/** While the directory is not listed there is no progress to show yet, but another way may have to be taken. */
function createTreeTalk(
  routes: RoutePlan['routes'],
  progress: ProgressStyle | undefined,
  sync: ShownSync | undefined,
): Report<TreeEvent, TreeResult> {
  const formatResult = (result: TreeResult) => formatSummary(routes, result, sync);
  let talk: Report<FilesEvent, TreeResult> = {
    ...noReport,
    event: (event) => event.kind === 'reroute' && say(tellReroute(event)),
  };
  return {
    event: (event) => {
      if (event.kind !== 'listed') return talk.event(event);
      const { files, unchanged, due } = event;
      talk = createFilesTalk({
        files: files - unchanged,
        route: routes[0],
        size: due.size,
        progress,
        where: 'here',
        formatResult,
      });
    },
    done: (result) => talk.done(result),
    say,
    stop: () => talk.stop(),
  };
}

function formatSummary(routes: RoutePlan['routes'], result: TreeResult, sync: ShownSync | undefined): string {
  const { outcomes, unchanged, directories, files, size, elapsedMs } = result;
  const due = files - unchanged;
  const where = path.relative('', result.path) || '.';
  const counts = [countOf(files, 'file', 'files'), countOf(directories, 'directory', 'directories')];
  return formatRows([
    ['route', describeRoutes(routes)],
    ['tree', `${where}: ${counts.join(' in ')}, ${formatBytes(size)}`],
    ...(result.planned ?? []).map((planned) => ['would get', planned] as const),
    [
      'saved',
      result.planned
        ? `nothing (--dry-run); due are ${countOf(result.due.files, 'file', 'files')}, ${formatBytes(result.due.size)}`
        : due === 0
          ? 'nothing, every file is here already'
          : `${describeMoved(outcomes, due)}${describeReplaced(outcomes)}`,
    ],
    ...(unchanged > 0 && due > 0 ? [['here', `${countOf(unchanged, 'file', 'files')}, unchanged`] as const] : []),
    ...(due > 0 && !result.planned ? rowsOfContent(outcomes, elapsedMs) : []),
    ...leftOut(result),
    ...rowsOfExtra(result, sync),
  ]);
}

/** What is here and not at the origin: each file that is removed, or how many there are. */
function rowsOfExtra(result: TreeResult, sync: ShownSync | undefined): Row[] {
  const { extra, planned } = result;
  if (!extra || extra.files.length === 0) return [];
  const files = countOf(extra.files.length, 'file', 'files');
  if (!sync?.deletes) return [['extra', `${files} here that the origin does not have; --delete removes them`]];
  if (!sync.isWhole(result)) return [['extra', `${files} here stay, since not all came`]];
  return extra.files.map((file) => [planned ? 'would delete' : 'delete', file]);
}

/** What is at the origin and is not made here, by its kind. */
function leftOut({ links, others, skipped }: TreeResult): Row[] {
  const texts = [
    ...(links.length > 0 ? [`${countOf(links.length, 'link', 'links')} not followed`] : []),
    ...(others > 0 ? [`${countOf(others, 'socket or device', 'sockets and devices')}`] : []),
    ...(skipped.unfinished > 0 ? [countOf(skipped.unfinished, 'part file', 'part files')] : []),
  ];
  return texts.length > 0 ? [['left out', texts.join(', ')]] : [];
}
