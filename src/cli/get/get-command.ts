/** `hopline get`: downloads one file, or several, over a route. */

import { type Command, Option } from 'commander';
import { type DownloadOptions, download } from '../../client/download/download.ts';
import type { TransferOptions } from '../../client/transfer.ts';
import { HoplineError } from '../../core/errors.ts';
import { defaultLimits, type Limits } from '../../core/limits.ts';
import { parseRoute, parseVia, type RoutePlan } from '../../wire/route.ts';
import { checksumFlag, countFlag, listFlag, poolFlag, rateFlag, secondsFlag, timesFlag } from '../flags.ts';
import { addSecurityFlags, type SecurityFlags, secureRoutes } from '../key/client-security.ts';
import { type PoolFlags, readOwnPools } from '../pool-flags.ts';
import { askRouteFile, readRouteText } from '../route-text.ts';
import { ExitWith, reportFailure } from '../terminal/failure.ts';
import { startInterruption } from '../terminal/interruption.ts';
import { createReport } from './get-report.ts';

interface GetFlags extends PoolFlags, SecurityFlags {
  readonly via?: readonly string[];
  readonly output?: string;
  readonly force?: boolean;
  readonly checksum?: ReturnType<typeof checksumFlag>;
  readonly parallel?: number;
  readonly resume: boolean;
  readonly onChange: 'restart' | 'fail';
  readonly retry?: number;
  readonly deadline?: number;
  readonly classic?: boolean;
  readonly native?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
  readonly connectTimeout?: number;
  readonly idleTimeout?: number;
  readonly limitRate?: number;
  readonly minRate?: number;
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
    .argument('[ROUTE_FILE]', 'the route file: a file name, then a hop a line; the last hop is the origin')
    .argument('[FILES...]', 'get these over the hops of the route file, instead of the file that it names')
    .option(
      '--via <HOPS>',
      'the hops, HOST:PORT separated by commas, | between alternates, instead of a route file; repeatable',
      listFlag,
    )
    .option(
      '--pool <NAME=MEMBERS>',
      'a pool that the first hop may name as @NAME: HOST:PORT separated by commas; repeatable',
      poolFlag,
    )
    .option(
      '--config <FILE>',
      'a configuration file whose pools the first hop may name too; its other keys do not count',
    )
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
    .option('--parallel <N>', 'fetch one file over that many circuits at once, spread over the routes given', countFlag)
    .option('--no-resume', 'begin at the beginning, and leave nothing for a later run')
    .addOption(
      new Option('--on-change <WHAT>', 'when the file is not what was fetched of it before')
        .choices(['restart', 'fail'])
        .default('restart'),
    )
    .option(
      '--retry <N>',
      'times to take up a broken download without a byte in between (default: 5), and to try one again that does not begin (default: 0)',
      timesFlag,
    )
    .option('--deadline <SECONDS>', 'for all of it', secondsFlag)
    .addOption(
      new Option('--classic', 'speak the classic dialect of the original programs; nothing is verified').conflicts(
        'native',
      ),
    )
    .option('--native', 'never speak it; else get does so where a hop of the route speaks nothing else')
    .option('-q, --quiet', 'print nothing but errors')
    .option(
      '--json',
      'print one JSON object a line: route, listing, started, progress, retry, reroute, fallback, kept, done or error, summary',
    )
    .option('--connect-timeout <SECONDS>', `for each attempt (default: ${defaultLimits.connectMs / 1000})`, secondsFlag)
    .option('--idle-timeout <SECONDS>', `without a byte (default: ${defaultLimits.stallMs / 1000})`, secondsFlag)
    .option('--limit-rate <RATE>', 'bytes a second at most, such as 500K, 10M or 1.5G', rateFlag)
    .option('--min-rate <RATE>', 'give up a circuit that brings less', rateFlag)
    .addHelpText(
      'after',
      '\nExamples:\n  $ hopline get input.txt\n  $ hopline get --via 10.0.0.1:7001,10.0.0.2:7001 reports/june.pdf -o june.pdf\n' +
        '  $ hopline get input.txt -o ./reports -- reports/may.pdf reports/june.pdf\n' +
        '  $ hopline get --via "10.0.0.1:7001|10.0.0.9:7001,10.0.0.2:7001" --via 10.1.0.1:7001 --parallel 2 big.iso\n' +
        '  $ hopline get input.txt --limit-rate 10M --min-rate 500K\n' +
        '  $ hopline get input.txt -o - --quiet | tar x',
    )
    .action(reportGet);
  addSecurityFlags(get);
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
  const { routes: asked, files } = await readRoute(argument, more, flags);
  const pools = await readOwnPools(flags);
  const [file = ''] = files;
  const classic = classicOf(flags, asked);
  const { signal, end } = startInterruption();
  const limits: Partial<Limits> = {
    ...(flags.connectTimeout === undefined ? {} : { connectMs: flags.connectTimeout }),
    ...(flags.idleTimeout === undefined ? {} : { stallMs: flags.idleTimeout, idleMs: flags.idleTimeout }),
  };
  const { retry, deadline, limitRate, minRate, force, parallel, resume, onChange, checksum } = flags;
  const startedMs = performance.now();
  const rates = { limitRate, minRate };
  const securing = secureRoutes(asked, flags, { signal, limits, pools });
  const { routes, identity, explain } = await securing.catch((error) => {
    end();
    throw error;
  });
  const route = { file, routes };
  const report = files.length === 1 ? createReport(route, flags, talkStream(flags)) : undefined;
  const transfer: TransferOptions = { signal, limits, retry, deadlineMs: deadline, pools, identity, ...rates };
  try {
    if (!report) return await (await import('./get-files.ts')).getFiles(routes, files, flags, transfer);
    const output = flags.output === '-' ? process.stdout : flags.output;
    const choices = { force, classic, parallel, resume, onChange, checksum };
    const result = await download({ route, output, ...choices, ...transfer, onEvent: report.event });
    report.done(result);
  } catch (error) {
    const isTree = error instanceof HoplineError && error.code === 'FILE_IS_DIRECTORY';
    if (!isTree || !report || flags.output === '-') throw await explain(error);
    report.stop();
    const deadlineMs = deadline && Math.max(1, deadline - (performance.now() - startedMs));
    const { getTree } = await import('./get-tree.ts');
    await getTree(route, flags, { ...transfer, deadlineMs });
  } finally {
    report?.stop();
    end();
  }
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
  const { routes, file } = parseRoute(await readRouteText(source, more), { source });
  return { routes, files: more.length > 0 ? more : [file] };
}
