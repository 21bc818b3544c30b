/** `hopline sync`: makes a directory here a copy of one at an origin, or the other way round. Documentation: docs/trees.md#sync */

import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import type { TransferOptions } from '../../client/transfer.ts';
import { HoplineError } from '../../core/errors.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { addFilterFlags, type FilterFlags } from '../files/file-filter.ts';
import { countFlag, rateFlag } from '../flags.ts';
import { addRouteFlags, overRoutes, type RouteFlags } from '../route-flags.ts';
import { readRoutes } from '../route-text.ts';
import { runWithDefaults } from '../settings/flag-defaults.ts';
import { progressFlag } from '../terminal/progress-flag.ts';
import type { ReportFlags } from '../terminal/report.ts';

interface SyncFlags extends RouteFlags, ReportFlags, FilterFlags {
  readonly delete?: boolean;
  readonly up?: boolean;
  readonly parallel?: number;
}

export function addSyncCommand(program: Command): void {
  const sync = program
    .command('sync')
    .summary('make a directory here a copy of one at an origin, or the other way round')
    .description(
      'Fetches what of a directory at the origin is not here, and replaces what differs in size or time. What is the same\n' +
        'is left; what is here alone stays, unless --delete is given. With --via, the arguments are FROM, a directory at the\n' +
        'origin, and DIR.\n' +
        'With --up, the arguments are DIR and ROUTE_FILE (with --via, the name at the origin): sends what the origin does not have,\n' +
        'and replaces what differs in its content. What is there alone stays. The node there needs --writable, and --force to\n' +
        'replace.',
    )
    .argument('<ROUTE_FILE>', 'the route file of the directory; or NAME:DIR, over a route of `hopline routes`')
    .argument('<DIR>', 'the directory here that is to be the copy')
    .option('--up', 'the other way: DIR, then the route of the directory at the origin that is to be the copy')
    .option('--delete', 'remove files in DIR that the origin does not have, once all has come; they are listed first')
    .option('--parallel <N>', 'over that many circuits at once (default: 1, with --up 4)', countFlag)
    .option(
      '--json',
      'print one JSON object a line: listing, started, progress, retry, reroute, kept, done or error, summary',
    )
    .option('--min-rate <RATE>', 'give up a circuit that brings less', rateFlag)
    .addHelpText(
      'after',
      '\nExamples:\n  $ hopline sync eu:photos photos\n  $ hopline sync eu:photos photos --delete --dry-run\n' +
        '  $ hopline sync --up photos eu:photos\n' +
        '  $ hopline sync --via 10.0.0.1:7001,10.0.0.2:7001 photos photos --exclude "*.tmp"',
    )
    .action((from: string, into: string, _flags, command: Command) =>
      runWithDefaults<SyncFlags>(
        command,
        () => process.stdout,
        (flags) => runSync(from, into, flags),
      ),
    );
  addFilterFlags(addRouteFlags(sync).addOption(progressFlag()));
}

async function runSync(from: string, into: string, flags: SyncFlags): Promise<void> {
  const [place, here] = flags.up ? [into, from] : [from, into];
  if (flags.up && flags.delete) {
    throw new HoplineError('USAGE_INVALID', '--delete goes without --up: sync removes nothing at an origin');
  }
  const isVia = flags.via !== undefined;
  const { routes: asked, file = place } = await readRoutes('sync', flags.via, isVia ? undefined : place).catch(
    async (error) => {
      throw flags.up ? error : ((await otherWay(from, into)) ?? error);
    },
  );
  if (file === '')
    throw new HoplineError(
      'USAGE_INVALID',
      `${place} needs a directory behind it; ${place}. is all that its origin serves`,
    );
  await overRoutes(asked, flags, async (routes, options) => {
    if (flags.up) return (await import('../put/put-tree.ts')).putTree({ file, routes }, here, flags, options);
    const { getTree } = await import('./get-tree.ts');
    const choices = { ...flags, force: true, resume: true };
    const sync = { into, deletes: flags.delete ?? false };
    await getTree({ file, routes }, choices, options, sync).catch(async (error) => {
      throw (await asFile(error, { routes, file }, options)) ?? error;
    });
  });
}

/** What is said where there is no directory to list, but a file. */
async function asFile(error: unknown, { routes, file }: RoutePlan, transfer: TransferOptions) {
  if (!(error instanceof HoplineError) || error.code !== 'FILE_DENIED') return undefined;
  const { statFile } = await import('../../client/listings/stat-file.ts');
  const found = await statFile({ routes, file, ...transfer }).catch(() => undefined);
  if (found?.kind !== 'file') return undefined;
  return new HoplineError(
    'USAGE_INVALID',
    `"${file}" is a file at the origin, and sync takes a directory; get fetches a file`,
  );
}

/** What is said where the first argument is no route, but a directory here. */
async function otherWay(from: string, into: string): Promise<HoplineError | undefined> {
  const isHere = await stat(from).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isHere) return undefined;
  return new HoplineError('USAGE_INVALID', `${from} is a directory here; did you mean sync --up ${from} ${into}?`);
}
