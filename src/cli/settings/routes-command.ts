/** `hopline routes`: the routes that the user's settings give names to. */

import type { Command } from 'commander';
import { formatViaHop } from '../../wire/keyed-hop.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { tellFailureOn } from '../terminal/failure.ts';
import { jsonLine, print, say } from '../terminal/lines.ts';
import { describeRoutes } from '../terminal/show.ts';
import { loadSettings } from './load-settings.ts';
import { settingsFile } from './settings-place.ts';

export function addRoutesCommand(program: Command): void {
  program
    .command('routes')
    .summary('list the routes that have a name')
    .description(
      'Lists the routes that have a name in the settings, ~/.config/hopline/config.yaml or the file of HOPLINE_CONFIG.\n' +
        'get, put, ls and stat take NAME:FILE in place of a route file.',
    )
    .option('--json', 'print a JSON object for each: name, and the routes as --via takes them')
    .addHelpText('after', '\nExample:\n  $ hopline routes\n  eu  10.0.0.2:7001 -> 10.0.1.5:7001 (2 hops)')
    .action(({ json = false }: { readonly json?: boolean }) =>
      tellFailureOn(json ? process.stdout : undefined, () => printRoutes(json)),
    );
}

async function printRoutes(json: boolean): Promise<void> {
  const settings = await loadSettings();
  const routes = [...(settings?.routes ?? [])];
  const width = Math.max(0, ...routes.map(([name]) => name.length));
  for (const [name, ways] of routes) {
    if (json) process.stdout.write(jsonLine({ name, via: ways.map(formatVia) }));
    else print(`${name.padEnd(width)}  ${describeRoutes(ways)}${hasKey(ways) ? ', encrypted' : ''}`);
  }
  if (routes.length === 0 && !json)
    say(settings ? `${settings.file} names no routes` : `there is no ${settingsFile().file}`);
}

function formatVia(places: RoutePlan['routes'][number]): string {
  return places.map((place) => place.map(formatViaHop).join('|')).join(',');
}

function hasKey(routes: RoutePlan['routes']): boolean {
  return routes.some((places) => places.at(-1)?.some(({ key }) => key !== undefined));
}
