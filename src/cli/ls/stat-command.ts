/** `hopline stat`: tells of one file or directory of an origin, without its content. Documentation: docs/listing.md */

import type { Command } from 'commander';
import { type StatResult, statFile } from '../../client/listings/stat-file.ts';
import { HoplineError } from '../../core/errors.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { addTimeFlags, addWayFlags, overRoutes, type RouteFlags } from '../route-flags.ts';
import { runWithDefaults } from '../settings/flag-defaults.ts';
import { formatRows } from '../terminal/lines.ts';
import { jsonOfResult, type Row, rowOfProof, rowOfRoutes, rowOfSize } from '../terminal/show.ts';
import { formatBytes } from '../terminal/units.ts';
import { formatInstant, formatMode, jsonOfTime } from './entry-text.ts';
import { createLookReport } from './look-report.ts';
import { readPlace } from './place.ts';

export function addStatCommand(program: Command): void {
  const stat = program
    .command('stat')
    .summary('tell of a file of an origin')
    .description(
      'Tells what the origin of a route has under a name, without fetching it: bytes, time of the last change, version.\n' +
        'With --via, the only argument is the name.',
    )
    .argument('[ROUTE_FILE]', 'the route file; or NAME:FILE, over a route of `hopline routes`')
    .argument('[FILE]', 'the file or directory (default: the one that the route file names)')
    .option('--json', 'print one JSON object a line: route, reroute, done or error')
    .addHelpText(
      'after',
      '\nExamples:\n  $ hopline stat route.txt\n  $ hopline stat eu:reports/june.pdf\n  $ hopline stat --via 10.0.0.1:7001,10.0.0.2:7001 reports/june.pdf',
    )
    .action((first: string | undefined, second: string | undefined, _flags, command: Command) =>
      runWithDefaults<RouteFlags>(
        command,
        () => process.stdout,
        (flags) => runStat([first, second], flags),
      ),
    );
  addTimeFlags(addWayFlags(stat)).option('-q, --quiet', 'print nothing but the answer and errors');
}

async function runStat(words: readonly (string | undefined)[], flags: RouteFlags): Promise<void> {
  const { routes: asked, file: ownFile, name: file = ownFile } = await readPlace('stat', flags.via, words);
  if (file === undefined) throw new HoplineError('USAGE_INVALID', 'stat needs the name of a file behind the route');
  await overRoutes(asked, flags, async (routes, options) => {
    const fieldsOf = ({ mtimeNs, ...result }: StatResult) => ({
      file,
      ...jsonOfResult(result),
      ...jsonOfTime(mtimeNs),
    });
    const report = createLookReport({ file }, routes, flags, fieldsOf);
    try {
      const result = await statFile({ routes, file, ...options, onEvent: report.event });
      if (!flags.json) process.stdout.write(formatStatus(file, routes, result));
      report.done(result);
    } finally {
      report.stop();
    }
  });
}

function formatStatus(file: string, routes: RoutePlan['routes'], result: StatResult): string {
  const { kind, mode, mtimeNs, verifiedBy } = result;
  return formatRows([
    [kind, file],
    ...(result.kind === 'file' ? [rowOfSize(result.size)] : []),
    ...(mtimeNs === undefined ? [] : [['modified', formatInstant(mtimeNs)] as const]),
    ...(mode === undefined ? [] : [['mode', `${formatMode(result)} (${mode.toString(8).padStart(4, '0')})`] as const]),
    ...(result.kind === 'file' ? rowsOfVersion(result) : []),
    rowOfRoutes(routes, result),
    ...(verifiedBy === undefined ? [] : [rowOfProof('all of this', [result])]),
  ]);
}

function rowsOfVersion({ size, version, pieceBytes, digest }: StatResult & { readonly kind: 'file' }): Row[] {
  const pieces = Math.ceil(size / pieceBytes);
  return [
    ['version', version],
    ['pieces', `${pieces} of ${formatBytes(pieceBytes)}, by ${digest}`],
  ];
}
