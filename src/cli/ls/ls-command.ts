/**
 * `hopline ls`: lists a directory of the origin of a route.
 *
 * Invariant: entries in the order of names are printed as they arrive; any other order needs all of them first.
 * Documentation: docs/listing.md
 */

import { type Command, Option } from 'commander';
import type { ListResult, RemoteEntry } from '../../client/listings/list-directory.ts';
import { listDirectory } from '../../client/listings/list-directory.ts';
import { addTimeFlags, addWayFlags, overRoutes, type RouteFlags } from '../route-flags.ts';
import { runWithDefaults } from '../settings/flag-defaults.ts';
import { refuseIncomplete } from '../terminal/incomplete-listing.ts';
import { jsonLine, LongResults } from '../terminal/lines.ts';
import { jsonOfResult } from '../terminal/show.ts';
import { formatEntryLine, jsonOfEntry } from './entry-text.ts';
import { createLookReport } from './look-report.ts';
import { readPlace } from './place.ts';

interface LsFlags extends RouteFlags {
  readonly recursive?: boolean;
  readonly sort: 'name' | 'size' | 'time';
}

/** Entries that are written in one go, where all of them are here. */
const batch = 1000;

export function addLsCommand(program: Command): void {
  const ls = program
    .command('ls')
    .summary('list a directory of an origin')
    .description(
      'Lists a directory of the origin of a route, without fetching anything: permissions, bytes, time of the last change, name.\n' +
        'With --via, the only argument is the directory.',
    )
    .argument(
      '[ROUTE_FILE]',
      'the route file, and the file that it names does not matter; or NAME:DIR, over a route of `hopline routes`',
    )
    .argument('[DIR]', 'the directory (default: all that the origin serves)')
    .option('-R, --recursive', 'list what is in its directories, too, each entry with its path')
    .addOption(
      new Option(
        '--sort <ORDER>',
        'by name, as they come; by size or time, the largest or newest first, once all are here',
      )
        .choices(['name', 'size', 'time'])
        .default('name'),
    )
    .option('--json', 'print one JSON object a line: route, entry, reroute, done or error')
    .addHelpText(
      'after',
      '\nExamples:\n  $ hopline ls route.txt\n  $ hopline ls --via 10.0.0.1:7001,10.0.0.2:7001 photos/2026 -R\n' +
        '  $ hopline ls eu:photos --sort time | head',
    )
    .action((first: string | undefined, second: string | undefined, _flags, command: Command) =>
      runWithDefaults<LsFlags>(
        command,
        () => process.stdout,
        (flags) => runLs([first, second], flags),
      ),
    );
  addTimeFlags(addWayFlags(ls)).option('-q, --quiet', 'print nothing but entries and errors');
}

async function runLs(words: readonly (string | undefined)[], flags: LsFlags): Promise<void> {
  const { via, recursive, sort, json } = flags;
  const { routes: asked, name = '.' } = await readPlace('ls', via, words);
  const directory = withoutSlash(name);
  await overRoutes(asked, flags, async (routes, options) => {
    const report = createLookReport<ListResult>({ directory }, routes, flags, jsonOfResult);
    const lines = { results: new LongResults(process.stdout), directory, json };
    const held: RemoteEntry[] = [];
    const onEntries = async (entries: readonly RemoteEntry[]) => {
      report.stop();
      if (sort === 'name') return printEntries(lines, entries);
      for (const entry of entries) held.push(entry);
      return true;
    };
    try {
      const result = await listDirectory({
        routes,
        directory,
        recursive,
        ...options,
        onEntries,
        onEvent: report.event,
      });
      if (sort !== 'name') await printEntries(lines, sorted(held, sort));
      report.done(result);
      refuseIncomplete(directory, result.skipped);
    } finally {
      report.stop();
    }
  });
}

/** The name of a directory may end as its completion in a shell would. */
function withoutSlash(directory: string): string {
  return directory.replace(/(?<=[^/])\/+$/, '');
}

/** Where the lines of entries go, and how they are written. */
interface Lines {
  readonly results: LongResults;
  readonly directory: string;
  readonly json: boolean | undefined;
}

/** False once nobody reads them. */
async function printEntries(lines: Lines, entries: readonly RemoteEntry[]): Promise<boolean> {
  for (let at = 0; at < entries.length; at += batch) {
    if (!(await lines.results.write(formatEntries(lines, entries.slice(at, at + batch))))) return false;
  }
  return true;
}

function formatEntries({ directory, json }: Lines, entries: readonly RemoteEntry[]): string {
  const lines = entries.map((entry) => {
    const path = entry.path === '' ? directory : entry.path;
    return json ? jsonLine({ event: 'entry', ...jsonOfEntry({ ...entry, path }) }) : formatEntryLine(entry, path);
  });
  return lines.join('');
}

/** The largest or the newest first; what has neither comes last, what is equal stays in its order. */
function sorted(entries: readonly RemoteEntry[], by: 'size' | 'time'): RemoteEntry[] {
  const keyOf = ({ size, mtimeNs }: RemoteEntry) => (by === 'size' ? size : mtimeNs && BigInt(mtimeNs));
  const keyed = entries.map((entry) => ({ entry, key: keyOf(entry) }));
  keyed.sort((one, other) => compareKeys(other.key, one.key));
  return keyed.map(({ entry }) => entry);
}

type Key = number | bigint | '' | undefined;

function compareKeys(one: Key, other: Key): number {
  if (one === other) return 0;
  if (one === undefined || other === undefined) return one === undefined ? -1 : 1;
  return one < other ? -1 : 1;
}
