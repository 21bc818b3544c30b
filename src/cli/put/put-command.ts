/** `hopline put`: uploads one file over a route. */

import path from 'node:path';
import type { Command } from 'commander';
import { upload } from '../../client/upload/upload.ts';
import { defaultLimits } from '../../core/limits.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { addRouteFlags, overRoutes, type RouteFlags } from '../route-flags.ts';
import { readRoutes } from '../route-text.ts';
import { runWithDefaults } from '../settings/flag-defaults.ts';
import { progressFlag } from '../terminal/progress-flag.ts';
import type { ReportFlags } from '../terminal/report.ts';
import { createPutReport } from './put-report.ts';

interface PutFlags extends RouteFlags, ReportFlags {
  readonly as?: string;
  readonly force?: boolean;
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
    .argument(
      '[ROUTE_FILE]',
      'the route file: the name at the origin, then a hop a line; the last hop is the origin. Or NAME:FILE, over a route of `hopline routes`',
    )
    .option(
      '--as <NAME>',
      'the name at the origin, or with / at its end the directory there (default: that of the route file; with --via, that of FILE)',
    )
    .option('-f, --force', 'replace an existing file, if the node of the origin has --force too')
    .option('--json', 'print one JSON object a line: route, started, progress, retry, reroute, kept, done or error')
    .addHelpText(
      'after',
      '\nExamples:\n  $ hopline put june.pdf route.txt\n  $ hopline put june.pdf eu:reports/\n' +
        '  $ hopline put june.pdf --via 10.0.0.1:7001,10.0.0.2:7001 --as reports/june.pdf',
    )
    .action((file: string, routeFile: string | undefined, _flags, command: Command) =>
      runWithDefaults<PutFlags>(
        command,
        () => process.stdout,
        (flags) => runPut(file, routeFile, flags),
      ),
    );
  addRouteFlags(put, defaultLimits.idleMs).addOption(progressFlag());
}

async function runPut(source: string, routeFile: string | undefined, flags: PutFlags): Promise<void> {
  const asked = await readRoute(source, routeFile, flags);
  await overRoutes(asked.routes, flags, async (routes, options) => {
    const route = { ...asked, routes };
    const report = createPutReport(source, route, flags);
    try {
      report.done(await upload({ source, route, force: flags.force, ...options, onEvent: report.event }));
    } finally {
      report.stop();
    }
  });
}

async function readRoute(source: string, routeFile: string | undefined, flags: PutFlags): Promise<RoutePlan> {
  const { via } = flags;
  const own = path.basename(path.resolve(source));
  const below = (name: string) => (name.endsWith('/') || name === '' ? `${name}${own}` : name);
  const as = flags.as === undefined ? undefined : below(flags.as);
  const { routes, file = own } = await readRoutes('put', via, routeFile);
  return { routes, file: as ?? below(file) };
}
