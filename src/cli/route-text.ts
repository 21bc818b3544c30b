/** The route that a command line means: a route file or `--via`, the text of that file, and the question for its name. */

import { HoplineError } from '../core/errors.ts';
import { readTextFile } from '../io/disk/reading/text-file.ts';
import { isUrl, parseAddress } from '../wire/address.ts';
import { withoutKeys } from '../wire/keyed-hop.ts';
import { parseRoute, parseVia, type RoutePlan } from '../wire/route.ts';
import { findNamedRoute } from './settings/named-route.ts';

/** The ways that a command line means, and what it says they are for. */
export interface AskedRoutes {
  readonly routes: RoutePlan['routes'];
  /** What the route file names, or what stands behind the name of a route, maybe nothing; undefined behind `--via`. */
  readonly file?: string;
  /** Whether it is a route of the settings. */
  readonly isNamed: boolean;
}

/** Throws `USAGE_INVALID` where `command` was told no way or two, and as routes and settings do. */
export async function readRoutes(
  command: string,
  via: readonly string[] | undefined,
  routeFile: string | undefined,
): Promise<AskedRoutes> {
  if (via !== undefined) {
    if (routeFile === undefined) return { routes: parseVia(via, '.').routes, isNamed: false };
    throw new HoplineError('USAGE_INVALID', `--via takes the place of the route file ${routeFile}`);
  }
  if (routeFile === undefined) {
    throw new HoplineError('USAGE_INVALID', `${command} needs a route file, NAME:FILE or --via`);
  }
  const named = await findNamedRoute(routeFile);
  if (named) return { ...named, isNamed: true };
  return { ...parseRoute(await readRouteText(routeFile), { source: routeFile }), isNamed: false };
}

export async function askRouteFile(): Promise<string> {
  const prompts = (await import('./terminal/prompt.ts')).openPrompts();
  try {
    return await prompts.ask('Enter input filename: ', async (source) => {
      parseRoute(await readRouteText(source), { source });
    });
  } finally {
    prompts.close();
  }
}

/**
 * Throws `ROUTE_UNREADABLE` for a file that cannot be read, and `ROUTE_SYNTAX` for one that is no text. `more` is what stands
 * behind it on the command line.
 */
export async function readRouteText(file: string, more: readonly string[] = []): Promise<string> {
  const rules = { what: 'the route file', code: 'ROUTE_UNREADABLE', invalid: 'ROUTE_SYNTAX' } as const;
  return readTextFile(file, rules).catch((error: HoplineError) => {
    const meant = meantBy(file, more);
    if (error.reason !== 'ENOENT' || meant === undefined) throw error;
    throw new HoplineError(error.code, `there is no route file ${file}; did you mean ${meant}?`, { cause: error });
  });
}

function meantBy(file: string, more: readonly string[]): string | undefined {
  if (isUrl(file)) return `hopline fetch ${file}`;
  return isHops(file) ? `--via ${[file, ...more].join(' ')}` : undefined;
}

function isHops(text: string): boolean {
  return withoutKeys(text)
    .split(',')
    .every((hop) => parseAddress(hop).kind === 'ok');
}
