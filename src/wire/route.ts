/**
 * The route: the file asked for and the hops to its origin, from a route file or from `--via`.
 *
 * Owns the grammar and its error messages. Knows nothing about reading files
 * from disk or about opening connections.
 * Grammar: docs/route-file.md
 */

import { HoplineError } from '../core/errors.ts';
import { defaultLimits } from '../core/limits.ts';
import { formatHop, type Hop, parseHop, sameHop } from './address.ts';
import { nameProblem } from './name.ts';

export interface Route {
  /** The path of the file below the origin's root, with `/` between its parts. */
  readonly file: string;
  /** At least one; the last is the origin. */
  readonly hops: readonly Hop[];
}

export interface RouteOptions {
  /** What to call the text in messages. @default 'route' */
  readonly source?: string;
  /** @default 32 */
  readonly maxHops?: number;
  /** Bytes. @default 4096 */
  readonly maxNameBytes?: number;
}

interface Line {
  readonly number: number;
  readonly text: string;
}

/**
 * Parses the text of a route file.
 * Throws `ROUTE_SYNTAX`, `ROUTE_TOO_LONG` or `ROUTE_LOOP`, with source, line, what was read and what was expected.
 */
export function parseRoute(text: string, options: RouteOptions = {}): RoutePlan {
  const r = parseRoute1(text, options);
  return { file: r.file, routes: [r.hops.map((h) => [h])] };
}
function parseRoute1(text: string, options: RouteOptions = {}): Route {
  const source = options.source ?? 'route';
  const [first, ...rest] = significantLines(text);
  if (!first) {
    throw new HoplineError('ROUTE_SYNTAX', `${source}:1: read nothing, expected the name of the file to get`);
  }
  const problem = nameProblem(first.text, options.maxNameBytes ?? defaultLimits.maxNameBytes);
  if (problem !== undefined) {
    throw syntaxError(
      `${source}:${first.number}`,
      first.text,
      `the name of a file below the origin's root: ${problem}`,
    );
  }
  if (rest.length === 0) {
    throw new HoplineError(
      'ROUTE_SYNTAX',
      `${source}:${first.number + 1}: read the end of the file, expected a hop, HOST PORT, such as 127.0.0.1 7001`,
    );
  }
  const hops = rest.map((line) => ({ place: `${source}:${line.number}`, text: withoutComment(line.text) }));
  return { file: first.text, hops: parseHops(hops, options) };
}

/**
 * Parses hops separated by commas, as `--via` takes them.
 * Throws as `parseRoute` does.
 */
export function parseVia(vias: string | readonly string[], file: string, options: RouteOptions = {}): RoutePlan {
  const list = typeof vias === 'string' ? [vias] : vias;
  return {
    file,
    routes: list.map((via) =>
      via.split(',').map((p) => p.split('|').map((h) => parseVia1(h, file, options).hops[0] as Hop)),
    ),
  };
}
function parseVia1(via: string, file: string, options: RouteOptions = {}): Route {
  checkName(file, options.maxNameBytes);
  const hops = via.split(',').map((text, index) => ({ place: `--via, hop ${index + 1}`, text }));
  return { file, hops: parseHops(hops, options) };
}

/** Throws `ROUTE_SYNTAX` unless `file` may be asked for. */
export function checkName(file: string, maxNameBytes: number = defaultLimits.maxNameBytes): void {
  const problem = nameProblem(file, maxNameBytes);
  if (problem !== undefined) throw syntaxError('FILE', file, `the name of a file below the origin's root: ${problem}`);
}

/** Writes a route as the text of a route file that parses to the same file and hops. A name's outer spaces are lost. */
export function formatRoute(route: Route): string {
  const file = route.file.startsWith('#') ? `./${route.file}` : route.file;
  return [file, ...route.hops.map((hop) => `${hop.host} ${hop.port}`), ''].join('\n');
}

function parseHops(lines: readonly { place: string; text: string }[], options: RouteOptions): Hop[] {
  const maxHops = options.maxHops ?? defaultLimits.maxHops;
  const hops: Hop[] = [];
  for (const { place, text } of lines) {
    const parsed = parseHop(text);
    if (parsed.kind === 'bad') throw syntaxError(place, text, parsed.expected);
    if (hops.length === maxHops) {
      throw new HoplineError('ROUTE_TOO_LONG', `${place}: read hop ${maxHops + 1}, expected at most ${maxHops} hops`);
    }
    const earlier = hops.findIndex((hop) => sameHop(hop, parsed.hop));
    if (earlier >= 0) {
      throw new HoplineError(
        'ROUTE_LOOP',
        `${place}: read "${formatHop(parsed.hop)}", expected a hop that is not on the route already (it is hop ${earlier + 1})`,
      );
    }
    hops.push(parsed.hop);
  }
  return hops;
}

function significantLines(text: string): Line[] {
  return text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .map((line, index) => ({ number: index + 1, text: line.trim() }))
    .filter((line) => line.text !== '' && !line.text.startsWith('#'));
}

function withoutComment(text: string): string {
  return text.replace(/\s+#.*$/, '');
}

function syntaxError(place: string, read: string, expected: string): HoplineError {
  const shown = read.length > 80 ? `${read.slice(0, 77)}...` : read;
  return new HoplineError('ROUTE_SYNTAX', `${place}: read ${JSON.stringify(shown)}, expected ${expected}`);
}

export type Place = readonly Hop[];
export interface RoutePlan {
  readonly file: string;
  readonly routes: readonly (readonly Place[])[];
}
export function preferredRoute(plan: RoutePlan): Route {
  return { file: plan.file, hops: (plan.routes[0] ?? []).map((place) => place[0] as Hop) };
}
