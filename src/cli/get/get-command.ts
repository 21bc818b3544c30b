/** `hopline get`: downloads one file, or several, over a route. */

import { type Command, Option } from 'commander';
import { type DownloadOptions, download } from '../../client/download/download.ts';
import type { DownloadEvent } from '../../client/transfer-events.ts';
import { HoplineError } from '../../core/errors.ts';
import { parseFileName, parseRoute, parseVia, type RoutePlan } from '../../wire/route.ts';
import { addFilterFlags, type FilterFlags, isForTrees } from '../files/file-filter.ts';
import { checksumFlag, countFlag, rateFlag } from '../flags.ts';
import { addRouteFlags, overRoutes, type RouteFlags } from '../route-flags.ts';
import { askRouteFile, readRouteText } from '../route-text.ts';
import { runWithDefaults } from '../settings/flag-defaults.ts';
import { findNamedRoute, type NamedRoute } from '../settings/named-route.ts';
import { progressFlag } from '../terminal/progress-flag.ts';
import { isTold, type ReportFlags } from '../terminal/report.ts';
import { createGetReport } from './get-report.ts';
import { optimizeLate } from './late-optimizing.ts';

interface GetFlags extends RouteFlags, ReportFlags, FilterFlags {
  readonly output?: string;
  readonly force?: boolean;
  readonly checksum?: ReturnType<typeof checksumFlag>;
  readonly parallel?: number;
  readonly resume: boolean;
  readonly onChange: 'restart' | 'fail';
  readonly classic?: boolean;
  readonly native?: boolean;
}

export function addGetCommand(program: Command): void {
  const get = program
    .command('get')
    .summary('download files over a route')
    .description(
      'Downloads the file that a route file names, through the hops it names, and verifies every piece.\n' +
        'If that is a directory, downloads all that is in it and not here yet into a directory of the same name;\n' +
        'the name . is all that the origin serves, and goes into the directory of -o itself.\n' +
        'Without an argument it asks for the route file. With --via, the arguments are the files to get.',
    )
    .argument(
      '[ROUTE_FILE]',
      'the route file: a file name, then a hop a line; the last hop is the origin. Or NAME:FILE, over a route of `hopline routes`',
    )
    .argument('[FILES...]', 'get these over the hops of the route file, instead of the file that it names')
    .option('-o, --output <PATH>', 'where to write: a file, a directory to put it into, or - for stdout')
    .option(
      '-f, --force',
      'replace an existing file; without it, one that is the same as at the origin is left, and success',
    )
    .option(
      '--checksum <NAME:HEX>',
      'what the file must have before it gets its name: sha256, sha512 or blake3',
      checksumFlag,
    )
    .option('--parallel <N>', 'fetch over that many circuits at once, spread over the routes given', countFlag)
    .option('--no-resume', 'begin at the beginning, and leave nothing for a later run')
    .addOption(
      new Option('--on-change <WHAT>', 'when the file is not what was fetched of it before')
        .choices(['restart', 'fail'])
        .default('restart'),
    )
    .addOption(
      new Option('--classic', 'speak the classic dialect of the original programs; nothing is verified').conflicts(
        'native',
      ),
    )
    .option('--native', 'never speak it; else get does so where a hop of the route speaks nothing else')
    .option(
      '--json',
      'print one JSON object a line: route, listing, started, progress, retry, reroute, fallback, kept, done or error, summary',
    )
    .option('--min-rate <RATE>', 'give up a circuit that brings less', rateFlag)
    .addHelpText(
      'after',
      '\nExamples:\n  $ hopline get input.txt\n  $ hopline get eu:reports/june.pdf\n  $ hopline get --via 10.0.0.1:7001,10.0.0.2:7001 reports/june.pdf -o june.pdf\n' +
        '  $ hopline get input.txt -o ./reports -- reports/may.pdf reports/june.pdf\n' +
        '  $ hopline get --via "10.0.0.1:7001|10.0.0.9:7001,10.0.0.2:7001" --via 10.1.0.1:7001 --parallel 2 big.iso\n' +
        '  $ hopline get eu:photos --parallel 4\n' +
        '  $ hopline get input.txt --limit-rate 10M --min-rate 500K\n' +
        '  $ hopline get input.txt -o - --quiet | tar x',
    )
    .action((argument: string | undefined, more: readonly string[], _flags, command: Command) =>
      runWithDefaults<GetFlags>(command, talkStream, (flags) => runGet(argument, more, flags)),
    );
  addFilterFlags(addRouteFlags(get).addOption(progressFlag()));
}

/** Where results are told: stdout, unless the content goes there. */
function talkStream({ output }: GetFlags): NodeJS.WritableStream {
  return output === '-' ? process.stderr : process.stdout;
}

async function runGet(argument: string | undefined, more: readonly string[], flags: GetFlags): Promise<void> {
  const { routes: asked, files } = await readRoute(argument, more, flags);
  const classic = classicOf(flags, asked);
  const { deadline, force, parallel, resume, onChange, checksum } = flags;
  const startedMs = performance.now();
  // What nobody is shown need not be computed.
  const digest = isTold(flags);
  await overRoutes(asked, flags, async (routes, options) => {
    const [file = '', ...others] = files;
    if (others.length > 0) return (await import('./get-files.ts')).getFiles(routes, files, flags, options);
    const route = { file, routes };
    if (isForTrees(flags)) return (await import('./get-tree.ts')).getTree(route, flags, options);
    const report = createGetReport(route, flags, talkStream(flags));
    const output = flags.output === '-' ? process.stdout : flags.output;
    const choices = { force, classic, parallel, resume, onChange, checksum, digest };
    const onEvent = (event: DownloadEvent) => {
      if (event.kind === 'started') optimizeLate(event.size - event.leftBytes);
      report.event(event);
    };
    try {
      report.done(await download({ route, output, ...choices, ...options, onEvent }));
    } catch (error) {
      const isTree = error instanceof HoplineError && error.code === 'FILE_IS_DIRECTORY';
      if (!isTree || flags.output === '-') throw error;
      report.stop();
      const deadlineMs = deadline && Math.max(1, deadline - (performance.now() - startedMs));
      await (await import('./get-tree.ts')).getTree(route, flags, { ...options, deadlineMs });
    } finally {
      report.stop();
    }
  });
}

function classicOf({ classic, native }: GetFlags, routes: RoutePlan['routes']): DownloadOptions['classic'] {
  if (!classic) return native ? false : 'fallback';
  const hasOneWay = routes.length === 1 && routes.every((places) => places.every(({ length }) => length === 1));
  if (hasOneWay) return true;
  throw new HoplineError('USAGE_INVALID', '--classic takes one route without alternates');
}

interface Request {
  readonly routes: RoutePlan['routes'];
  readonly files: readonly string[];
}

async function readRoute(argument: string | undefined, more: readonly string[], { via }: GetFlags): Promise<Request> {
  if (via !== undefined) {
    if (argument === undefined) throw new HoplineError('USAGE_INVALID', '--via needs the name of the file to get');
    const { routes, file } = parseVia(via, argument);
    return { routes, files: [file, ...more] };
  }
  const source = argument ?? (await askRouteFile());
  const named = await findNamedRoute(source);
  if (named) return { routes: named.routes, files: namedFiles(named, more) };
  const { routes, file } = parseRoute(await readRouteText(source, more), { source });
  return { routes, files: more.length > 0 ? more : [file] };
}

/** `eu:one eu:two`, or `eu:` and names behind it. Throws `USAGE_INVALID`. */
function namedFiles({ name, file }: NamedRoute, more: readonly string[]): readonly string[] {
  const prefix = `${name}:`;
  if (file !== '') {
    const other = more.find((each) => !each.startsWith(prefix));
    if (other === undefined)
      return [file, ...more.map((each) => each.slice(prefix.length))].map((each) => parseFileName(each));
    throw new HoplineError(
      'USAGE_INVALID',
      `${other} is not behind ${prefix}, as ${prefix}${file} is; name the route once, as in ${prefix} ${file} ${other}`,
    );
  }
  if (more.length > 0) return more.map((each) => parseFileName(each));
  throw new HoplineError('USAGE_INVALID', `${prefix} needs a file behind it; ${prefix}. is all that its origin serves`);
}
