/** What the words of `ls` and `stat` mean: ways to an origin, and maybe a name there. */

import { HoplineError } from '../../core/errors.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { readRoutes } from '../route-text.ts';

export interface AskedPlace {
  readonly routes: RoutePlan['routes'];
  /** As it was typed, behind the route. */
  readonly name: string | undefined;
  /** What the route file names. */
  readonly file: string | undefined;
}

/** Words are a route file, or NAME:, and a name; NAME:FILE; or a name behind `--via`. Throws as `readRoutes`. */
export async function readPlace(
  command: string,
  via: readonly string[] | undefined,
  [first, second]: readonly (string | undefined)[],
): Promise<AskedPlace> {
  const hasNameAlone = via !== undefined && second === undefined;
  const [routeFile, name] = hasNameAlone ? [undefined, first] : [first, second];
  const { routes, file, isNamed } = await readRoutes(command, via, routeFile);
  if (!isNamed) return { routes, name, file };
  if (file && name !== undefined) {
    throw new HoplineError('USAGE_INVALID', `${first} has its name already, and ${name} is another one`);
  }
  return { routes, name: file || name, file: undefined };
}
