/** `hopline verify`: compares a file here with the one at an origin, without fetching it. */

import path from 'node:path';
import type { Command } from 'commander';
import { type CompareResult, compareFile } from '../../client/listings/compare-file.ts';
import type { UploadEvent } from '../../client/transfer-events.ts';
import { HoplineError } from '../../core/errors.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { addTimeFlags, addWayFlags, overRoutes, type RouteFlags } from '../route-flags.ts';
import { readRoutes } from '../route-text.ts';
import { runWithDefaults } from '../settings/flag-defaults.ts';
import { exitCodes } from '../terminal/exit-codes.ts';
import { ExitWith } from '../terminal/failure.ts';
import { formatRows } from '../terminal/lines.ts';
import { progressFlag } from '../terminal/progress-flag.ts';
import { createFileTalk, createReport, type ReportFlags } from '../terminal/report.ts';
import { describePieces, jsonOfResult, jsonOfRoutes, rowOfProof, rowOfRoutes, rowOfSize } from '../terminal/show.ts';
import { countOf } from '../terminal/units.ts';

interface VerifyFlags extends RouteFlags, ReportFlags {
  readonly as?: string;
}

export function addVerifyCommand(program: Command): void {
  const verify = program
    .command('verify')
    .summary('compare a file here with the one at an origin')
    .description(
      'Compares a file here with the one at the origin of a route, piece by piece, without fetching it.\n' +
        'Ends with 0 if they are the same and with 7 if they differ. With --via, the only argument is the file here.',
    )
    .argument('[ROUTE_FILE]', 'the route file; or NAME:FILE, over a route of `hopline routes`')
    .argument('[FILE]', 'the file here (default: that of the same name in the working directory)')
    .option('--as <NAME>', 'the name at the origin (default: that of the route file; with --via, that of FILE)')
    .option('--json', 'print one JSON object a line: route, started, progress, reroute, done or error')
    .addHelpText(
      'after',
      '\nExamples:\n  $ hopline verify eu:reports/june.pdf\n  $ hopline verify route.txt copies/june.pdf\n' +
        '  $ hopline verify --via 10.0.0.1:7001,10.0.0.2:7001 june.pdf --as reports/june.pdf',
    )
    .action((first: string | undefined, second: string | undefined, _flags, command: Command) =>
      runWithDefaults<VerifyFlags>(
        command,
        () => process.stdout,
        (flags) => runVerify([first, second], flags),
      ),
    );
  addTimeFlags(addWayFlags(verify)).option('-q, --quiet', 'print nothing but errors').addOption(progressFlag());
}

async function runVerify(words: readonly (string | undefined)[], flags: VerifyFlags): Promise<void> {
  const { routes: asked, file, here } = await readPlaces(words, flags);
  await overRoutes(asked, flags, async (routes, options) => {
    const report = createReport<UploadEvent, CompareResult>(flags, process.stdout, {
      route: { file, routes: jsonOfRoutes(routes) },
      result: (result) => ['done', jsonOfResult(result)],
      text: () =>
        createFileTalk(
          {
            route: routes[0],
            where: 'there',
            progress: flags.progress,
            formatResult: (result: CompareResult) => formatComparison(here, file, routes, result),
          },
          process.stdout,
        ),
    });
    try {
      const result = await compareFile({ routes, file, path: here, ...options, onEvent: report.event });
      report.done(result);
      if (!result.isSame) throw new ExitWith(exitCodes.integrity.code);
    } finally {
      report.stop();
    }
  });
}

interface Places {
  readonly routes: RoutePlan['routes'];
  /** The name at the origin. */
  readonly file: string;
  /** The file here. */
  readonly here: string;
}

/** Throws `USAGE_INVALID` where a file is missing, and as `readRoutes`. */
async function readPlaces([first, second]: readonly (string | undefined)[], flags: VerifyFlags): Promise<Places> {
  const { via, as } = flags;
  if (via !== undefined && second !== undefined) {
    throw new HoplineError('USAGE_INVALID', `--via takes the place of the route file ${first}`);
  }
  const { routes, file: named } = await readRoutes('verify', via, via === undefined ? first : undefined);
  const local = via === undefined ? second : first;
  const name = as ?? (named === '' ? undefined : named);
  const here = local ?? (name === undefined ? undefined : path.posix.basename(name));
  if (here === undefined) throw new HoplineError('USAGE_INVALID', 'verify needs the name of a file behind the route');
  return { routes, here, file: name ?? path.basename(path.resolve(here)) };
}

/** Pieces that differ and are named. */
const maxNamed = 10;

function formatComparison(here: string, file: string, routes: RoutePlan['routes'], result: CompareResult): string {
  const { isSame, size, localSize, pieces, differing } = result;
  const named = differing.slice(0, maxNamed).map((index) => index + 1);
  const more = differing.length > named.length ? ', ...' : '';
  const difference =
    size === localSize
      ? `${differing.length} of ${countOf(pieces, 'piece', 'pieces')}: ${named.join(', ')}${more}`
      : `${localSize} bytes here, ${size} there`;
  return formatRows([
    rowOfRoutes(routes, result),
    isSame ? ['same', `${here} and ${file}`] : ['differs', `${here} from ${file}, ${difference}`],
    rowOfSize(size),
    ...(isSame ? [rowOfProof(describePieces({ size, pieces }), [result], { wasThere: true })] : []),
  ]);
}
