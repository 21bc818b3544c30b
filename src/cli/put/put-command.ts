/** `hopline put`: uploads one file over a route. */

import path from 'node:path';
import type { Command } from 'commander';
import { upload } from '../../client/upload/upload.ts';
import { HoplineError } from '../../core/errors.ts';
import { defaultLimits, type Limits } from '../../core/limits.ts';
import { parseRoute, parseVia, type RoutePlan } from '../../wire/route.ts';
import { listFlag, poolFlag, rateFlag, secondsFlag, timesFlag } from '../flags.ts';
import { addSecurityFlags, type SecurityFlags, secureRoutes } from '../key/client-security.ts';
import { type PoolFlags, readOwnPools } from '../pool-flags.ts';
import { readRouteText } from '../route-text.ts';
import { ExitWith, reportFailure } from '../terminal/failure.ts';
import { startInterruption } from '../terminal/interruption.ts';
import { createPutReport } from './put-report.ts';

interface PutFlags extends PoolFlags, SecurityFlags {
  readonly via?: readonly string[];
  readonly as?: string;
  readonly force?: boolean;
  readonly retry?: number;
  readonly deadline?: number;
  readonly limitRate?: number;
  readonly quiet?: boolean;
  readonly json?: boolean;
  readonly connectTimeout?: number;
  readonly idleTimeout?: number;
}

export function addPutCommand(program: Command): void {
  const put = program
    .command('put')
    .summary('upload a file over a route')
    .description(
      'Uploads FILE through the hops of a route file to its origin, under the name in the route file.\n' +
        'The origin verifies every piece; its node must be started with --writable.',
    )
    .argument('<FILE>', 'the file to send')
    .argument('[ROUTE_FILE]', 'the route file: the name at the origin, then a hop a line; the last hop is the origin')
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
    .option(
      '--as <NAME>',
      'the name at the origin, or with / at its end the directory there (default: that of the route file; with --via, that of FILE)',
    )
    .option('-f, --force', 'replace an existing file, if the node of the origin has --force too')
    .option(
      '--retry <N>',
      'times to take up a broken upload without a piece in between (default: 5), and to try one again that does not begin (default: 0)',
      timesFlag,
    )
    .option('--deadline <SECONDS>', 'for all of it', secondsFlag)
    .option('--limit-rate <RATE>', 'bytes a second at most, such as 500K, 10M or 1.5G', rateFlag)
    .option('-q, --quiet', 'print nothing but errors')
    .option('--json', 'print one JSON object a line: route, started, progress, retry, reroute, kept, done or error')
    .option('--connect-timeout <SECONDS>', `for each attempt (default: ${defaultLimits.connectMs / 1000})`, secondsFlag)
    .option('--idle-timeout <SECONDS>', `without a byte (default: ${defaultLimits.idleMs / 1000})`, secondsFlag)
    .addHelpText(
      'after',
      '\nExamples:\n  $ hopline put june.pdf route.txt\n' +
        '  $ hopline put june.pdf --via 10.0.0.1:7001,10.0.0.2:7001 --as reports/june.pdf',
    )
    .action(reportPut);
  addSecurityFlags(put);
}

async function reportPut(file: string, routeFile: string | undefined, flags: PutFlags): Promise<void> {
  try {
    await runPut(file, routeFile, flags);
  } catch (error) {
    throw new ExitWith(reportFailure(error, flags.json ? process.stdout : undefined));
  }
}

async function runPut(source: string, routeFile: string | undefined, flags: PutFlags): Promise<void> {
  const asked = await readRoute(source, routeFile, flags);
  const pools = await readOwnPools(flags);
  const { signal, end } = startInterruption();
  const limits: Partial<Limits> = {
    ...(flags.connectTimeout === undefined ? {} : { connectMs: flags.connectTimeout }),
    ...(flags.idleTimeout === undefined ? {} : { stallMs: flags.idleTimeout, idleMs: flags.idleTimeout }),
  };
  const { force, retry, deadline, limitRate } = flags;
  const securing = secureRoutes(asked.routes, flags, { signal, limits, pools });
  const { routes, identity, explain } = await securing.catch((error) => {
    end();
    throw error;
  });
  const route = { ...asked, routes };
  const report = createPutReport(source, route, flags);
  try {
    const onEvent = report.event;
    const transfer = { pools, retry, deadlineMs: deadline, limitRate, signal, limits, identity };
    report.done(await upload({ source, route, force, ...transfer, onEvent }));
  } catch (error) {
    throw await explain(error);
  } finally {
    report.stop();
    end();
  }
}

async function readRoute(source: string, routeFile: string | undefined, flags: PutFlags): Promise<RoutePlan> {
  const { via } = flags;
  const own = path.basename(path.resolve(source));
  const as = flags.as?.endsWith('/') ? `${flags.as}${own}` : flags.as;
  if (via !== undefined) {
    if (routeFile === undefined) return parseVia(via, as ?? own);
    throw new HoplineError('USAGE_INVALID', `--via takes the place of the route file ${routeFile}`);
  }
  if (routeFile === undefined) throw new HoplineError('USAGE_INVALID', 'put needs a route file, or --via');
  const plan = parseRoute(await readRouteText(routeFile), { source: routeFile });
  return as === undefined ? plan : { ...plan, file: as };
}
