/**
 * The routes: the file asked for and the ways to its origin, from a route file or from `--via`.
 *
 * Owns the grammar and its error messages. Knows nothing about reading files
 * from disk, about opening connections or about which way is taken.
 * Invariant: every plan made here has a route, every route a place, every place a hop.
 * Grammar: docs/route-file.md
 */

import { isIP } from 'node:net';
import { HoplineError } from '../core/errors.ts';
import { type OptionNames, refuseUnknown } from '../core/failure/known-names.ts';
import { defaultLimits } from '../core/limits.ts';
import { formatHop, type Hop, hopKey, isPoolHop, parseHop } from './address.ts';
import { formatLineHop, parseKeyedHop, withoutKeys } from './keyed-hop.ts';
import { withoutSecrets } from './keys/key.ts';
import { nameProblem } from './name.ts';

/** One place of a route: the hop to take there and those that can stand in for it, the preferred first. */
export type Place = readonly Hop[];

/** What a route file holds: a file and the routes to it, the preferred first. */
export interface RoutePlan {
  /** The path of the file below the origin's root, with `/` between its parts. */
  readonly file: string;
  /** At least one, each with at least one place; the last place is the origin. */
  readonly routes: readonly (readonly Place[])[];
}

/** One way of a plan: a hop for every place. */
export interface Route {
  /** The path of the file below the origin's root, with `/` between its parts. */
  readonly file: string;
  /** At least one; the last is the origin. */
  readonly hops: readonly Hop[];
}

export interface RouteOptions {
  /** What to call the text in messages. @default 'route' */
  readonly source?: string;
  /** Places in a route. @default 32 */
  readonly maxHops?: number;
  /** Hops that one place may name. @default 16 */
  readonly maxAlternates?: number;
  /** @default 16 */
  readonly maxRoutes?: number;
  /** Bytes. @default 4096 */
  readonly maxNameBytes?: number;
}

const names = {
  source: true,
  maxHops: true,
  maxAlternates: true,
  maxRoutes: true,
  maxNameBytes: true,
} as const satisfies OptionNames<RouteOptions>;

/** A place as it is written, and where. */
export interface Line {
  readonly at: string;
  readonly text: string;
}

const hopExpected = 'a hop, HOST PORT, such as 127.0.0.1 7001';

/**
 * Parses the text of a route file.
 * Throws `ROUTE_SYNTAX`, `ROUTE_TOO_LONG`, `ROUTE_LOOP` or `KEY_INVALID`, with source, line, what was read and what was expected.
 */
export function parseRoute(text: string, options: RouteOptions = {}): RoutePlan {
  refuseUnknown(options, { by: 'parseRoute', names });
  const source = options.source ?? 'route';
  const [first, ...rest] = significantLines(text);
  if (!first) {
    throw new HoplineError('ROUTE_SYNTAX', `${source}:1: read nothing, expected the name of the file to get`);
  }
  if (isHop(first.text, rest.length === 0)) {
    const expected = 'the name of the file, and this is a hop: add a line above it with that name, such as report.pdf';
    throw syntaxError(`${source}:${first.number}`, first.text, expected);
  }
  const file = parseName({ at: `${source}:${first.number}`, text: first.text }, options.maxNameBytes);
  const lines = rest.map(({ number, text }) => parseLine({ at: `${source}:${number}`, text }));
  const end = `${source}:${(rest.at(-1) ?? first).number + 1}`;
  return { file, routes: parseRoutes(splitRoutes(lines, end), options) };
}

/**
 * Parses routes as `--via` takes them: commas between places, `|` between alternates.
 * Throws as `parseRoute` does.
 */
export function parseVia(vias: string | readonly string[], file: string, options: RouteOptions = {}): RoutePlan {
  refuseUnknown(options, { by: 'parseVia', names });
  const list = typeof vias === 'string' ? [vias] : vias;
  if (list.length === 0) throw new HoplineError('ROUTE_SYNTAX', `--via: read nothing, expected ${hopExpected}`);
  const routes = list.map((via, route) => {
    const at = list.length === 1 ? '--via' : `--via ${route + 1}`;
    return via.split(',').map((text, index) => ({ at: `${at}, hop ${index + 1}`, text }));
  });
  return { file: parseName({ at: 'FILE', text: file }, options.maxNameBytes), routes: parseRoutes(routes, options) };
}

/**
 * Parses routes whose places stand each somewhere else: alternates are separated by `|`. Each route has a place at least.
 * Throws as `parseRoute` does.
 */
export function parseHops(routes: readonly (readonly Line[])[], options: RouteOptions = {}): RoutePlan['routes'] {
  return parseRoutes(routes, options);
}

/** The name of a file or directory as people write it. Throws `ROUTE_SYNTAX`. */
export function parseFileName(text: string, at = 'FILE'): string {
  return parseName({ at, text });
}

/** Throws `ROUTE_SYNTAX` unless `file` may be asked for. */
export function checkName(file: string, maxNameBytes: number = defaultLimits.maxNameBytes, at = 'FILE'): void {
  checkNameAt({ at, text: file }, maxNameBytes);
}

/** The preferred way: the first alternate everywhere in the first route. */
export function preferredRoute({ file, routes }: RoutePlan): Route {
  return { file, hops: (routes[0] ?? []).flatMap((place) => place.slice(0, 1)) };
}

/** Writes a plan as the text of a route file that parses to the same plan. A name's outer spaces are lost. */
export function formatRoute(plan: RoutePlan): string {
  const file = plan.file.startsWith('#') ? `./${plan.file}` : plan.file;
  const formatPlace = (place: Place) => place.map(formatLineHop).join(' | ');
  const routes = plan.routes.map((places) => places.map((place) => `${formatPlace(place)}\n`).join(''));
  return `${file}\n${routes.join('---\n')}`;
}

function significantLines(text: string): { readonly number: number; readonly text: string }[] {
  return text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .map((line, index) => ({ number: index + 1, text: line.trim() }))
    .filter((line) => line.text !== '' && !line.text.startsWith('#'));
}

/** Whether the line of the name is that of a hop: a name may look like a host and a port, but hardly where no hop follows. */
function isHop(text: string, isAlone: boolean): boolean {
  return withoutKeys(withoutComment(text))
    .split(/[|,]/)
    .every((alternate) => {
      const parsed = parseHop(alternate);
      if (parsed.kind === 'bad') return false;
      return isAlone || (!isPoolHop(parsed.hop) && (isIP(parsed.hop.host) !== 0 || parsed.hop.host === 'localhost'));
    });
}

/** A key that is taken for a comment would leave its circuit in plain. */
function parseLine({ at, text }: Line): Line {
  if (/\s#hop1[a-z0-9]{50}/i.test(text)) {
    throw syntaxError(at, text, 'key=hop1..., since a "#" behind a space begins a comment');
  }
  return { at, text: withoutComment(text) };
}

function withoutComment(text: string): string {
  const start = text.search(/\s#/);
  return start < 0 ? text : text.slice(0, start);
}

/** A name that ends in `/` is that of a directory, which travels without it. */
function parseName({ at, text }: Line, maxNameBytes: number = defaultLimits.maxNameBytes): string {
  const name = /[^/]\/$/.test(text) ? text.slice(0, -1) : text;
  checkNameAt({ at, text: name }, maxNameBytes);
  return name;
}

function checkNameAt({ at, text }: Line, maxNameBytes: number): void {
  const problem = nameProblem(text, maxNameBytes);
  if (problem !== undefined) throw syntaxError(at, text, `the name of a file below the origin's root: ${problem}`);
}

/** The lines of each route; lines of dashes, and `end`, end one. */
function splitRoutes(lines: readonly Line[], end: string): Line[][] {
  const routes: Line[][] = [];
  let route: Line[] = [];
  const endRoute = (at: string, read: string) => {
    if (route.length === 0) throw new HoplineError('ROUTE_SYNTAX', `${at}: read ${read}, expected ${hopExpected}`);
    routes.push(route);
    route = [];
  };
  for (const line of lines) {
    if (/^-{3,}$/.test(line.text)) endRoute(line.at, '"---"');
    else route.push(line);
  }
  endRoute(end, 'the end of the file');
  return routes;
}

function parseRoutes(routes: readonly (readonly Line[])[], options: RouteOptions): Place[][] {
  const maxRoutes = options.maxRoutes ?? defaultLimits.maxRoutes;
  return routes.map((lines, index) => {
    if (index === maxRoutes) {
      const at = lines[0]?.at ?? '';
      throw new HoplineError('ROUTE_TOO_LONG', `${at}: read route ${index + 1}, expected at most ${maxRoutes} routes`);
    }
    return parsePlaces(lines, options);
  });
}

function parsePlaces(lines: readonly Line[], options: RouteOptions): Place[] {
  const maxHops = options.maxHops ?? defaultLimits.maxHops;
  const earlier = new Map<string, string>();
  return lines.map((line, index) => {
    if (index === maxHops) {
      throw new HoplineError('ROUTE_TOO_LONG', `${line.at}: read hop ${maxHops + 1}, expected at most ${maxHops} hops`);
    }
    const place = parsePlace(line, options.maxAlternates ?? defaultLimits.maxAlternates);
    for (const [alternate, hop] of place.entries()) {
      const before = earlier.get(hopKey(hop));
      if (before !== undefined) {
        throw new HoplineError(
          'ROUTE_LOOP',
          `${line.at}: read "${formatHop(hop)}", expected a hop that is not on the route already (it is ${before})`,
        );
      }
      const which = place.length === 1 ? '' : `alternate ${alternate + 1} of `;
      earlier.set(hopKey(hop), `${which}hop ${index + 1}`);
    }
    return place;
  });
}

function parsePlace({ at, text }: Line, maxAlternates: number): Place {
  const alternates = text.split('|').map((alternate) => alternate.trim());
  if (alternates.length > 1 && alternates.includes('')) {
    throw syntaxError(at, text.trim(), 'a hop on both sides of each "|"');
  }
  if (alternates.length > maxAlternates) {
    const count = alternates.length;
    throw new HoplineError('ROUTE_TOO_LONG', `${at}: read ${count} alternates, expected at most ${maxAlternates}`);
  }
  return alternates.map((alternate) => {
    return parseKeyedHop(alternate, at, (read, expected) => syntaxError(at, read, expected));
  });
}

function syntaxError(at: string, read: string, expected: string): HoplineError {
  const harmless = withoutSecrets(read);
  const shown = harmless.length > 80 ? `${harmless.slice(0, 77)}...` : harmless;
  return new HoplineError('ROUTE_SYNTAX', `${at}: read ${JSON.stringify(shown)}, expected ${expected}`);
}
