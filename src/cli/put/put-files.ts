/**
 * `hopline put` for directories and several files: which file goes where, what is shown of them, and the exit code of the
 * first that failed.
 */

import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { FileOutcome } from '../../client/download-result.ts';
import type { TransferOptions } from '../../client/transfer.ts';
import type { UploadsEvent } from '../../client/transfer-events.ts';
import { uploadFiles } from '../../client/upload/several-uploads.ts';
import type { FileToSend } from '../../client/upload/uploads-run.ts';
import type { UploadResult } from '../../client/upload-result.ts';
import { HoplineError } from '../../core/errors.ts';
import { defaultLimits } from '../../core/limits.ts';
import { type LocalTree, readLocalTree } from '../../io/disk/reading/local-tree.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { type FileFilter, type FilterFlags, readFileFilter } from '../files/file-filter.ts';
import { createFilesTalk, describeMoved, describeReplaced, exitAsDue, rowsOfContent } from '../files/file-outcomes.ts';
import type { RouteFlags } from '../route-flags.ts';
import type { AskedRoutes } from '../route-text.ts';
import { formatRows, jsonLine } from '../terminal/lines.ts';
import { createReport, type ReportFlags } from '../terminal/report.ts';
import { describeRoutes, jsonOfRoutes, type Row } from '../terminal/show.ts';
import { countOf } from '../terminal/units.ts';

export interface PutFlags extends RouteFlags, ReportFlags, FilterFlags {
  readonly as?: string;
  readonly force?: boolean;
  readonly parallel?: number;
}

/** What is sent, and what of it is not. */
interface Outgoing {
  readonly files: FileToSend[];
  readonly leftOut: Record<'empty' | 'links' | 'others' | 'unfinished', number>;
}

/** Uploads what `sources` name. Throws `USAGE_INVALID`, and `ExitWith` once failures have been told. */
export async function putFiles(
  sources: readonly string[],
  asked: AskedRoutes,
  flags: PutFlags,
  transfer: TransferOptions,
): Promise<void> {
  const { routes } = asked;
  const filter = await readFileFilter(flags);
  const { files, leftOut } = await gather(sources, asked, flags, filter);
  const started = performance.now();
  const formatResult = (outcomes: readonly FileOutcome<UploadResult>[]) => {
    return formatSummary(routes, { files, leftOut }, outcomes, performance.now() - started);
  };
  const report = createReport<UploadsEvent, readonly FileOutcome<UploadResult>[]>(flags, process.stdout, {
    route: { files: files.length, routes: jsonOfRoutes(routes) },
    result: (outcomes) => ['summary', countOutcomes(outcomes, leftOut)],
    text: () =>
      createFilesTalk({
        files: files.length,
        route: routes[0],
        progress: flags.progress,
        where: 'there',
        formatResult,
      }),
  });
  const options = { routes, files, force: flags.force, parallel: flags.parallel, ...transfer, onEvent: report.event };
  const outcomes = await uploadFiles(options).finally(report.stop);
  report.done(outcomes);
  exitAsDue(outcomes, flags, 'sent');
  filter?.checkList();
}

/** Shows what `putFiles` would send, whatever the origin has of it. Throws as that. */
export async function showPlan(sources: readonly string[], asked: AskedRoutes, flags: PutFlags): Promise<void> {
  const filter = await readFileFilter(flags);
  const { files, leftOut } = await gather(sources, asked, flags, filter);
  if (flags.json) {
    process.stdout.write(jsonLine({ event: 'summary', planned: files, leftOut }));
  } else {
    const rows = files.map(({ source, file }) => ['would put', `${source} as ${file}`] as const);
    const sent = ['sent', `nothing (--dry-run); chosen are ${countOf(files.length, 'file', 'files')}`] as const;
    process.stdout.write(formatRows([...rows, sent, ...rowsOfLeftOut(leftOut)]));
  }
  filter?.checkList();
}

/** Throws `USAGE_INVALID` for stdin among others, and for what is not there. */
async function gather(
  sources: readonly string[],
  asked: AskedRoutes,
  flags: PutFlags,
  filter: FileFilter | undefined,
): Promise<Outgoing> {
  const outgoing: Outgoing = { files: [], leftOut: { empty: 0, links: 0, others: 0, unfinished: 0 } };
  const place = placeFor(sources, asked, flags);
  for (const source of sources) {
    if (source === '-') throw new HoplineError('USAGE_INVALID', 'stdin goes alone, not among several files');
    const name = place(path.basename(path.resolve(source)));
    const isTree = await stat(source).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (!isTree) outgoing.files.push({ source, file: name });
    else addTree(outgoing, { source, name }, await readLocalTree(source, defaultLimits), filter);
  }
  return outgoing;
}

/** The names at the origin: of one directory the one that was asked for; several things go into a directory of that name. */
function placeFor(sources: readonly string[], asked: AskedRoutes, { as }: PutFlags): (own: string) => string {
  // Of several, the file that a route file names is none, as with `get`.
  const named = as ?? (sources.length === 1 || asked.isNamed ? asked.file : undefined) ?? '';
  if (sources.length === 1 && named !== '' && !named.endsWith('/')) return () => named;
  const directory = named === '' || named.endsWith('/') ? named : `${named}/`;
  return (own) => `${directory}${own}`;
}

function addTree(
  { files, leftOut }: Outgoing,
  { source, name }: { readonly source: string; readonly name: string },
  tree: LocalTree,
  filter: FileFilter | undefined,
): void {
  const below = name === '.' ? '' : `${name}/`;
  const chosen = filter ? tree.files.filter(filter.selects) : tree.files;
  for (const own of chosen) files.push({ source: path.join(source, ...own.split('/')), file: `${below}${own}` });
  leftOut.empty += tree.empty;
  leftOut.links += tree.links;
  leftOut.others += tree.others;
  leftOut.unfinished += tree.unfinished;
}

function countOutcomes(outcomes: readonly FileOutcome<UploadResult>[], leftOut: Outgoing['leftOut']): object {
  const failed = outcomes.filter(({ error }) => error).length;
  const alreadyThere = outcomes.filter(({ result }) => result?.alreadyThere).length;
  return { files: outcomes.length, sent: outcomes.length - failed - alreadyThere, alreadyThere, failed, leftOut };
}

function formatSummary(
  routes: RoutePlan['routes'],
  { files, leftOut }: Outgoing,
  outcomes: readonly FileOutcome<UploadResult>[],
  elapsedMs: number,
): string {
  return formatRows([
    ['route', describeRoutes(routes)],
    [
      'sent',
      files.length === 0
        ? 'nothing, there is no file in it'
        : `${describeMoved(outcomes, files.length)}${describeReplaced(outcomes)}`,
    ],
    ...(files.length > 0 ? rowsOfContent(outcomes, elapsedMs) : []),
    ...rowsOfLeftOut(leftOut),
  ]);
}

/** What was not sent, by its kind. */
export function rowsOfLeftOut({ empty, links, others, unfinished }: Outgoing['leftOut']): Row[] {
  const texts = [
    ...(links > 0 ? [`${countOf(links, 'link', 'links')} not followed`] : []),
    ...(empty > 0 ? [countOf(empty, 'empty directory', 'empty directories')] : []),
    ...(others > 0 ? [countOf(others, 'socket or device', 'sockets and devices')] : []),
    ...(unfinished > 0 ? [countOf(unfinished, 'part file', 'part files')] : []),
  ];
  return texts.length > 0 ? [['left out', texts.join(', ')]] : [];
}
