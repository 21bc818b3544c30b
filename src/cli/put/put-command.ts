/** `hopline put`: uploads one file over a route. */

import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { upload } from '../../client/upload/upload.ts';
import { HoplineError } from '../../core/errors.ts';
import { defaultLimits } from '../../core/limits.ts';
import { addFilterFlags } from '../files/file-filter.ts';
import { countFlag } from '../flags.ts';
import { addRouteFlags, overRoutes } from '../route-flags.ts';
import { type AskedRoutes, readRoutes } from '../route-text.ts';
import { runWithDefaults } from '../settings/flag-defaults.ts';
import { progressFlag } from '../terminal/progress-flag.ts';
import type { PutFlags } from './put-files.ts';
import { createPutReport } from './put-report.ts';

export function addPutCommand(program: Command): void {
  const put = program
    .command('put')
    .summary('upload files over a route')
    .description(
      'Uploads a file through the hops of a route file to its origin, under the name in the route file. Several files\n' +
        'keep their names. A directory goes with all that is in it; links in it are not followed.\n' +
        'The origin verifies every piece; its node must be started with --writable.',
    )
    .usage('[options] FILE... [ROUTE_FILE]')
    .argument('<FILE>', 'what to send: files, directories with all that is in them, or - for stdin')
    .argument(
      '[ROUTE_FILE...]',
      'the route file, behind the last of them: the name at the origin, then a hop a line; the last hop is the origin. Or NAME:FILE, over a route of `hopline routes`',
    )
    .option(
      '--as <NAME>',
      'the name at the origin, or with / at its end the directory there (default: that of the route file; with --via, that of FILE)',
    )
    .option('-f, --force', 'replace an existing file, if the node of the origin has --force too')
    .option('--parallel <N>', 'send that many files at once, each over a circuit of its own (default: 4)', countFlag)
    .option(
      '--json',
      'print one JSON object a line: route, started, progress, retry, reroute, kept, done or error, summary',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ hopline put june.pdf route.txt\n  $ hopline put june.pdf eu:reports/\n' +
        '  $ hopline put photos/2026 eu:copies/\n  $ tar c src | hopline put - eu:src.tar\n' +
        '  $ hopline put june.pdf --via 10.0.0.1:7001,10.0.0.2:7001 --as reports/june.pdf',
    )
    .action((file: string, more: readonly string[], _flags, command: Command) =>
      runWithDefaults<PutFlags>(
        command,
        () => process.stdout,
        (flags) => runPut([file, ...more], flags),
      ),
    );
  addFilterFlags(addRouteFlags(put, defaultLimits.idleMs).addOption(progressFlag()));
}

async function runPut([first = '', ...more]: readonly string[], flags: PutFlags): Promise<void> {
  const sources = flags.via === undefined ? [first, ...more.slice(0, -1)] : [first, ...more];
  const asked = await readRoutes('put', flags.via, flags.via === undefined ? more.at(-1) : undefined);
  if (flags.dryRun) return (await import('./put-files.ts')).showPlan(sources, asked, flags);
  const isTree = await stat(first).then(
    (found) => found.isDirectory(),
    () => false,
  );
  await overRoutes(asked.routes, flags, async (routes, options) => {
    if (isTree || sources.length > 1 || flags.filesFrom !== undefined) {
      const { putFiles } = await import('./put-files.ts');
      return putFiles(sources, { ...asked, routes }, flags, options);
    }
    const route = { routes, file: nameOf(first, asked, flags) };
    const report = createPutReport(first, route, flags);
    const source = first === '-' ? process.stdin : first;
    try {
      report.done(await upload({ source, route, force: flags.force, ...options, onEvent: report.event }));
    } finally {
      report.stop();
    }
  });
}

/** The name of one file at the origin. Throws `USAGE_INVALID` for what comes from stdin and gets none. */
function nameOf(source: string, { file }: AskedRoutes, { as = file }: PutFlags): string {
  if (as !== undefined && as !== '' && !as.endsWith('/')) return as;
  if (source === '-')
    throw new HoplineError('USAGE_INVALID', 'what comes from stdin needs a name: --as NAME, or NAME:FILE');
  return `${as ?? ''}${path.basename(path.resolve(source))}`;
}
