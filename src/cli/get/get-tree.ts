/** `hopline get` for a directory: what is shown of it, and the exit code of the first file that failed. */

import path from 'node:path';
import { downloadTree, type TreeResult } from '../../client/download/download-tree.ts';
import type { TransferOptions } from '../../client/transfer.ts';
import type { FilesEvent, SkippedEntries, TreeEvent } from '../../client/transfer-events.ts';
import { HoplineError } from '../../core/errors.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { exitCodeOf } from '../terminal/exit-codes.ts';
import { ExitWith, reportFailure } from '../terminal/failure.ts';
import { formatRows, say } from '../terminal/lines.ts';
import { describeRoutes, startJsonLines, tellReroute } from '../terminal/show.ts';
import { formatBytes } from '../terminal/units.ts';
import {
  exitAsDue,
  type FilesTalk,
  jsonOfError,
  printFilesEvent,
  startFilesTalk,
  tellFailures,
} from './file-outcomes.ts';
import { describeReplaced, describeSaved, type GetFilesFlags, rowsOfContent } from './get-files.ts';

/** Downloads the directory that is the file of `route`. Throws `USAGE_INVALID`, and `ExitWith` once failures have been told. */
export async function getTree(route: RoutePlan, flags: GetFilesFlags, transfer: TransferOptions): Promise<void> {
  const { file: directory, routes } = route;
  const { output, force, resume } = flags;
  if (flags.parallel !== undefined) {
    throw new HoplineError('USAGE_INVALID', `--parallel takes one file, and "${directory}" is a directory`);
  }
  if (flags.checksum !== undefined) {
    throw new HoplineError('USAGE_INVALID', `--checksum takes one file, and "${directory}" is a directory`);
  }
  const show = flags.json ? showJson() : flags.quiet ? showErrors() : showText(routes);
  const options = { routes, directory, output, force, resume, ...transfer, onEvent: show.event };
  const result = await downloadTree(options).finally(show.stop);
  show.summary(result);
  exitAsDue(result.outcomes);
  const incomplete = incompleteError(directory, result.skipped);
  if (!incomplete) return;
  show.incomplete(incomplete);
  throw new ExitWith(exitCodeOf(incomplete.code));
}

interface Show {
  readonly event: (event: TreeEvent) => void;
  readonly stop: () => void;
  readonly summary: (result: TreeResult) => void;
  /** The tree is here as far as it was listed, and that was not all of it. */
  readonly incomplete: (error: HoplineError) => void;
}

function showJson(): Show {
  const print = startJsonLines(process.stdout);
  return {
    event: (event) => {
      if (event.kind !== 'listed') return printFilesEvent(print, event);
      const { kind: _kind, ...counts } = event;
      print('listing', counts);
    },
    stop: () => {},
    summary: ({ outcomes, links, ...counts }) => {
      const failed = outcomes.filter(({ error }) => error).length;
      const alreadyHere = outcomes.filter(({ result }) => result?.alreadyHere).length;
      const fetched = outcomes.length - failed - alreadyHere;
      print('summary', { ...counts, links: links.length, fetched, alreadyHere, failed });
    },
    incomplete: (error) => print('error', jsonOfError(error)),
  };
}

function showErrors(): Show {
  const incomplete = (error: HoplineError) => void reportFailure(error);
  return { event: () => {}, stop: () => {}, summary: ({ outcomes }) => tellFailures(outcomes), incomplete };
}

function showText(routes: RoutePlan['routes']): Show {
  let talk: FilesTalk = { event: tellBeforeListing, stop: () => {} };
  return {
    ...showErrors(),
    event: (event) => {
      if (event.kind !== 'listed') return talk.event(event);
      talk.stop();
      talk = startFilesTalk(event.files - event.unchanged, routes[0], event.due.size);
    },
    stop: () => talk.stop(),
    summary: (result) => {
      process.stdout.write(formatSummary(routes, result));
      tellFailures(result.outcomes);
    },
  };
}

/** While there is no progress to show yet, another way may have to be taken. */
function tellBeforeListing(event: FilesEvent): void {
  if (event.kind === 'reroute') say(tellReroute(event));
}

function formatSummary(routes: RoutePlan['routes'], result: TreeResult): string {
  const { outcomes, unchanged, directories, files, size, elapsedMs } = result;
  const due = files - unchanged;
  const where = path.relative('', result.path) || '.';
  const counts = [countOf(files, 'file', 'files'), countOf(directories, 'directory', 'directories')];
  return formatRows([
    ['route', describeRoutes(routes)],
    ['tree', `${where}: ${counts.join(' in ')}, ${formatBytes(size)}`],
    [
      'saved',
      due === 0
        ? 'nothing, every file is here already'
        : `${describeSaved(outcomes, due)}${describeReplaced(outcomes)}`,
    ],
    ...(unchanged > 0 && due > 0 ? [['here', `${countOf(unchanged, 'file', 'files')}, unchanged`] as const] : []),
    ...(due > 0 ? rowsOfContent(outcomes, elapsedMs) : []),
    ...leftOut(result),
  ]);
}

/** What is at the origin and is not made here, by its kind. */
function leftOut({ links, others, skipped }: TreeResult): (readonly [string, string])[] {
  const texts = [
    ...(links.length > 0 ? [`${countOf(links.length, 'link', 'links')} not followed`] : []),
    ...(others > 0 ? [`${countOf(others, 'socket or device', 'sockets and devices')}`] : []),
    ...(skipped.unfinished > 0 ? [countOf(skipped.unfinished, 'part file', 'part files')] : []),
  ];
  return texts.length > 0 ? [['left out', texts.join(', ')]] : [];
}

function incompleteError(directory: string, { names, unreadable }: SkippedEntries): HoplineError | undefined {
  if (names + unreadable === 0) return undefined;
  const why = [
    ...(names > 0 ? [`${countOf(names, 'name', 'names')} cannot travel`] : []),
    ...(unreadable > 0 ? [`${countOf(unreadable, 'entry', 'entries')} cannot be read there`] : []),
  ];
  return new HoplineError('FILE_UNREADABLE', `the origin did not list all of "${directory}": ${why.join(', ')}`);
}

function countOf(count: number, one: string, several: string): string {
  return `${count} ${count === 1 ? one : several}`;
}
