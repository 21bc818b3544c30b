/**
 * `NAME:FILE` on the command line: a route of the user's settings, and a file at its origin.
 *
 * Invariant: what may be a drive of Windows is never a name, and what is a file here as well is refused.
 * Documentation: docs/settings.md#routes
 */

import { existsSync } from 'node:fs';
import { HoplineError } from '../../core/errors.ts';
import { isUrl } from '../../wire/address.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { loadSettings } from './load-settings.ts';
import { isRouteName } from './settings.ts';
import { settingsFile } from './settings-place.ts';

export interface NamedRoute {
  readonly name: string;
  /** What stands behind the colon, maybe nothing. */
  readonly file: string;
  readonly routes: RoutePlan['routes'];
}

/**
 * The route that an argument names; undefined for one that names none, but maybe a route file.
 * Throws `ROUTE_UNREADABLE` for a name that nothing has, `USAGE_INVALID` for that of a file here, and as settings do.
 */
export async function findNamedRoute(argument: string): Promise<NamedRoute | undefined> {
  const colon = argument.indexOf(':');
  const [name, file] = [argument.slice(0, Math.max(0, colon)), argument.slice(colon + 1)];
  if (!isRouteName(name)) return undefined;
  const settings = await loadSettings();
  const routes = settings?.routes.get(name);
  const isHere = existsSync(argument);
  if (routes && !isHere) return { name, file, routes };
  if (routes) {
    const meant = `write ./${argument} for the file, or ${name}: and the name behind it for the route`;
    throw new HoplineError('USAGE_INVALID', `${argument} is a file here, and ${name} is a route: ${meant}`);
  }
  // A hop or a URL is told as such by whoever reads route files.
  if (isHere || isUrl(argument) || /^\d+([#,|]|$)/.test(file)) return undefined;
  const known = [...(settings?.routes.keys() ?? [])];
  const has = settings
    ? `${settings.file} has ${known.length > 0 ? known.join(', ') : 'none'}`
    : `there is no ${settingsFile().file}`;
  throw new HoplineError('ROUTE_UNREADABLE', `there is no route file ${argument}, and no route ${name}: ${has}`);
}
