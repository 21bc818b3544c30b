/** `hopline get` for several files: what is shown of them, and the exit code of the first that failed. */

import path from 'node:path';
import {
  downloadFiles,
  type FileOutcome,
  type FilesEvent,
  formatHop,
  HoplineError,
  type RoutePlan,
  type TransferOptions,
} from '../index.ts';
import { exitCodeOf, hintFor } from './exit.ts';
import { startFileProgress } from './progress.ts';
import { ExitWith } from './report.ts';
import { describeHops, describeRoutes, formatRows, jsonOf, sparseNotice, startJsonLines, tellReroute } from './show.ts';
import { formatBytes, formatRate } from './units.ts';

export interface GetFilesFlags {
  readonly output?: string;
  readonly force?: boolean;
  readonly classic?: boolean;
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
  const show = flags.json ? showJson : flags.quiet ? showErrors : showText;
  const finish = show(routes, files);
  const started = performance.now();
  const options = { routes, files, output, force, resume, ...transfer, onEvent: finish.event };
  const outcomes = await downloadFiles(options).finally(finish.stop);
  finish.summary(outcomes, performance.now() - started);
  const failures = outcomes.flatMap(({ error }) => error ?? []);
  const decisive = failures.find(({ code }) => code === 'INTERRUPTED') ?? failures[0];
  if (decisive) throw new ExitWith(exitCodeOf(decisive.code));
}

interface Show {
  readonly event: (event: FilesEvent) => void;
  readonly stop: () => void;
  readonly summary: (outcomes: readonly FileOutcome[], elapsedMs: number) => void;
}

function showJson(routes: Routes, files: readonly string[]): Show {
  const print = startJsonLines(process.stdout);
  const written = routes.map((places) => places.map((place) => place.map(formatHop)));
  print('route', { files: files.length, routes: written });
  const settled = ({ file, result, error }: FileOutcome) => {
    if (result) {
      print('done', { file, ...result });
      return;
    }
    const { code, message, hop, reason } = error;
    print('error', { file, code, message, hop, reason, hint: hintFor(code), exitCode: exitCodeOf(code) });
  };
  return {
    event: (event) => {
      if (event.kind === 'settled') return settled(event);
      print(event.kind, jsonOf(event));
    },
    stop: () => {},
    summary: () => {},
  };
}

function showErrors(): Show {
  return { event: () => {}, stop: () => {}, summary: tellFailures };
}

function showText(routes: Routes, files: readonly string[]): Show {
  const progress = startFileProgress(files.length, routes[0]?.length ?? 0);
  let bytes = 0;
  let settled = 0;
  let warned = false;
  return {
    event: (event) => {
      if (event.kind === 'progress') bytes = event.bytes;
      if (event.kind === 'settled') settled += 1;
      if (event.kind === 'retry')
        progress.say(`${event.file} was damaged on ${describeHops(event.hops)}; asking again`);
      if (event.kind === 'reroute') progress.say(tellReroute(event));
      if (event.kind === 'started' && event.reservation === 'sparse' && !warned) {
        warned = true;
        process.stderr.write(sparseNotice);
      }
      progress.update(settled, bytes);
    },
    stop: progress.stop,
    summary: (outcomes, elapsedMs) => {
      process.stdout.write(formatSummary(routes, outcomes, elapsedMs));
      tellFailures(outcomes);
    },
  };
}

function formatSummary(routes: Routes, outcomes: readonly FileOutcome[], elapsedMs: number): string {
  const results = outcomes.flatMap(({ result }) => result ?? []);
  const size = results.reduce((sum, result) => sum + result.size, 0);
  const [first] = results;
  const where = first?.path ? ` in ${path.relative('', path.dirname(first.path)) || '.'}` : '';
  const replaced = results.filter((result) => result.replaced).length;
  const perSecond = Math.round(results.length / Math.max(elapsedMs / 1000, 0.001));
  return formatRows([
    ['route', describeRoutes(routes)],
    ['saved', `${results.length} of ${outcomes.length} files${where}${replaced > 0 ? ` (${replaced} replaced)` : ''}`],
    ['size', `${formatBytes(size)} (${size} bytes)`],
    ['speed', `${formatRate(size, elapsedMs)}, ${perSecond} files/s, ${(elapsedMs / 1000).toFixed(2)} s`],
    ['verified', results.length > 0 ? 'yes, every piece of every file' : 'no file arrived'],
  ]);
}

/** A line for each failure, and one for all files that failed together. */
function tellFailures(outcomes: readonly FileOutcome[]): void {
  const together = new Map<HoplineError, number>();
  for (const { error } of outcomes) if (error) together.set(error, (together.get(error) ?? 0) + 1);
  for (const [error, files] of together) {
    const prefix = files === 1 ? '' : `${files} files were not fetched: `;
    process.stderr.write(`hopline: ${prefix}${error.message}\n`);
  }
  const codes = new Set([...together.keys()].map(({ code }) => code));
  for (const code of codes) process.stderr.write(`  hint: ${hintFor(code)}\n`);
}
