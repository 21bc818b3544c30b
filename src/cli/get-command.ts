/** `hopline get`: downloads one file, or several, over a route. */

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import {
  type DownloadEvent,
  type DownloadResult,
  defaultLimits,
  download,
  formatHop,
  HoplineError,
  type Limits,
  parseRoute,
  parseVia,
  type Route,
  systemCode,
} from '../index.ts';
import { secondsFlag } from './flags.ts';
import { getFiles } from './get-files.ts';
import { hopCount, noProgress, type Progress, startProgress } from './progress.ts';
import { openPrompts } from './prompt.ts';
import { ExitWith, reportFailure } from './report.ts';
import { formatRows, sparseNotice, startJsonLines } from './show.ts';
import { formatBytes, formatRate } from './units.ts';

const maxRouteFileBytes = 1024 * 1024;

interface GetFlags {
  readonly via?: string;
  readonly output?: string;
  readonly force?: boolean;
  readonly classic?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
  readonly connectTimeout?: number;
  readonly idleTimeout?: number;
}

export function addGetCommand(program: Command): void {
  program
    .command('get')
    .summary('download files over a route')
    .description(
      'Downloads the file that a route file names, through the hops it names, and verifies every piece.\n' +
        'Without an argument it asks for the route file. With --via, the arguments are the files to get.',
    )
    .argument('[ROUTE_FILE]', 'the route file: a file name, then a hop a line; the last hop is the origin')
    .argument('[FILES...]', 'get these over the hops of the route file, instead of the file that it names')
    .option('--via <HOPS>', 'the hops, HOST:PORT separated by commas, instead of a route file')
    .option('-o, --output <PATH>', 'where to write: a file, a directory, or - for stdout')
    .option('-f, --force', 'replace an existing file')
    .option('--classic', 'speak the classic dialect of the original programs; nothing is verified')
    .option('-q, --quiet', 'print nothing but errors')
    .option('--json', 'print one JSON object a line: route, started, progress, retry, done or error')
    .option('--connect-timeout <SECONDS>', `for each attempt (default: ${defaultLimits.connectMs / 1000})`, secondsFlag)
    .option('--idle-timeout <SECONDS>', `without a byte (default: ${defaultLimits.idleMs / 1000})`, secondsFlag)
    .addHelpText(
      'after',
      '\nExamples:\n  $ hopline get input.txt\n  $ hopline get --via 10.0.0.1:7001,10.0.0.2:7001 reports/june.pdf -o june.pdf\n' +
        '  $ hopline get input.txt -o ./reports -- reports/may.pdf reports/june.pdf\n' +
        '  $ hopline get input.txt -o - --quiet | tar x',
    )
    .action(reportGet);
}

async function reportGet(argument: string | undefined, more: readonly string[], flags: GetFlags): Promise<void> {
  try {
    await runGet(argument, more, flags);
  } catch (error) {
    throw new ExitWith(reportFailure(error, flags.json ? talkStream(flags) : undefined));
  }
}

/** Where results are told: stdout, unless the content goes there. */
function talkStream({ output }: GetFlags): NodeJS.WritableStream {
  return output === '-' ? process.stderr : process.stdout;
}

async function runGet(argument: string | undefined, more: readonly string[], flags: GetFlags): Promise<void> {
  const { hops, files } = await readRoute(argument, more, flags);
  const [file = ''] = files;
  const route = { file, hops };
  const report = files.length === 1 ? createReport(route, flags) : undefined;
  const stop = new AbortController();
  const interrupt = () => {
    process.once('SIGINT', () => process.exit(130));
    stop.abort();
  };
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const limits: Partial<Limits> = {
    ...(flags.connectTimeout === undefined ? {} : { connectMs: flags.connectTimeout }),
    ...(flags.idleTimeout === undefined ? {} : { idleMs: flags.idleTimeout }),
  };
  try {
    if (!report) return await getFiles(hops, files, { ...flags, signal: stop.signal, limits });
    const result = await download({
      route,
      output: flags.output === '-' ? process.stdout : (flags.output ?? '.'),
      force: flags.force ?? false,
      classic: flags.classic ?? false,
      signal: stop.signal,
      onEvent: report.event,
      limits,
    });
    report.done(result);
  } finally {
    report?.stop();
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}

interface Request {
  readonly hops: Route['hops'];
  readonly files: readonly string[];
}

async function readRoute(argument: string | undefined, more: readonly string[], { via }: GetFlags): Promise<Request> {
  if (via !== undefined) {
    if (argument === undefined) throw new HoplineError('USAGE_INVALID', '--via needs the name of the file to get');
    const { hops, file } = parseVia(via, argument);
    return { hops, files: [file, ...more] };
  }
  const source = argument ?? (await askRouteFile());
  const { hops, file } = parseRoute(await readText(source), { source });
  return { hops, files: more.length > 0 ? more : [file] };
}

async function askRouteFile(): Promise<string> {
  const prompts = openPrompts();
  try {
    return await prompts.ask('Enter input filename: ');
  } finally {
    prompts.close();
  }
}

async function readText(file: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    const reasons: Record<string, string> = { ENOENT: 'there is no such file', EISDIR: 'it is a directory' };
    const code = systemCode(cause) ?? 'unknown';
    throw new HoplineError('ROUTE_SYNTAX', `cannot read the route file ${file}: ${reasons[code] ?? code}`, { cause });
  }
  if (bytes.length > maxRouteFileBytes) throw new HoplineError('ROUTE_SYNTAX', `${file} is too large for a route file`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new HoplineError('ROUTE_SYNTAX', `${file}: expected text in UTF-8`, { cause });
  }
}

interface Report {
  event(event: DownloadEvent): void;
  done(result: DownloadResult): void;
  stop(): void;
}

function createReport(route: Route, flags: GetFlags): Report {
  if (flags.json) return createJsonReport(route, talkStream(flags));
  if (flags.quiet) return { event: () => {}, done: () => {}, stop: () => {} };
  return createTextReport(route, flags);
}

function createJsonReport(route: Route, stream: NodeJS.WritableStream): Report {
  const print = startJsonLines(stream);
  print('route', { file: route.file, hops: route.hops.map(formatHop) });
  return {
    event: ({ kind, ...fields }) => print(kind, fields),
    done: (result) => print('done', { ...result, bytesPerSecond: perSecond(result) }),
    stop: () => {},
  };
}

function createTextReport(route: Route, flags: GetFlags): Report {
  let progress: Progress = noProgress;
  const results = talkStream(flags);
  return {
    event: (event) => {
      if (event.kind === 'started') {
        if (event.reservation === 'sparse') process.stderr.write(sparseNotice);
        progress = startProgress(event.size, route.hops.length);
      } else if (event.kind === 'progress') {
        progress.update(event.bytes);
      } else {
        process.stderr.write(`piece ${event.piece + 1} was damaged on the way; asking again (${event.attempt})\n`);
      }
    },
    done: (result) => {
      progress.stop();
      results.write(formatResult(route, result));
    },
    stop: () => progress.stop(),
  };
}

function formatResult(route: Route, result: DownloadResult): string {
  const { size, digest, elapsedMs } = result;
  const where = result.path === null ? 'stdout' : path.relative('', result.path) || result.path;
  const pieces = result.pieces === 1 ? 'the only piece' : `all ${result.pieces} pieces`;
  return formatRows([
    ['route', `${route.hops.map(formatHop).join(' -> ')} (${hopCount(route.hops.length)})`],
    ['saved', `${where}${result.replaced ? ' (replaced the earlier one)' : ''}`],
    ['size', `${formatBytes(size)} (${size} bytes)`],
    ...(digest ? [['digest', `${digest.algorithm} ${digest.hex}`] as const] : []),
    ['speed', `${formatRate(size, elapsedMs)}, ${(elapsedMs / 1000).toFixed(2)} s`],
    result.verified
      ? ['verified', size === 0 ? 'yes, the file is empty' : `yes, ${pieces}`]
      : ['verified', 'no, the classic dialect has no digests'],
  ]);
}

function perSecond({ size, elapsedMs }: DownloadResult): number {
  return Math.round(size / Math.max(elapsedMs / 1000, 0.001));
}
