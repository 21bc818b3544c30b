/**
 * A site as it is written in one line: the host, and what answers for it.
 *
 * Opens nothing. Grammar: docs/http/gateway.md#sites
 */

import { HoplineError } from '../core/errors.ts';
import type { HttpServers } from '../gateway/server/start.ts';
import { type Address, parseAddress } from '../wire/address.ts';
import { parseVia, type RoutePlan } from '../wire/route.ts';

export interface SiteText {
  /** A name, `*.` and a name, or `*`. */
  readonly host: string;
  readonly backend: BackendText;
}

export type BackendText =
  /** HTTP servers that stand in for one another; with `routes`, connected to by the last node of those. */
  | {
      readonly kind: 'servers';
      readonly members: NonNullable<HttpServers['members']>;
      readonly isTls: boolean;
      readonly routes?: RoutePlan['routes'];
    }
  /** Files at the end of a route. */
  | { readonly kind: 'route'; readonly routes: RoutePlan['routes'] }
  /** Files below a directory. */
  | { readonly kind: 'root'; readonly directory: string };

const expected = 'HOST=SERVER[,SERVER] [via HOPS], HOST=route:HOPS or HOST=root:DIRECTORY';

/** Parses `HOST=BACKEND`. Throws `USAGE_INVALID`, and what `parseVia` does for hops. */
export function parseSite(text: string): SiteText {
  const [, host, backend] = /^([^=\s]+)=(.*\S)\s*$/.exec(text.trim()) ?? [];
  if (host === undefined || backend === undefined) throw unreadable(text, expected);
  return { host, backend: parseBackend(backend.trim(), text) };
}

function parseBackend(backend: string, text: string): BackendText {
  const [, kind, value = ''] = /^(route|root):(.*)$/.exec(backend) ?? [];
  if (kind === 'root') {
    if (value === '') throw unreadable(text, 'a directory behind root:');
    return { kind, directory: value };
  }
  if (kind === 'route') return { kind, routes: parseHops(value) };
  const [servers = '', hops, ...more] = backend.split(/\s+via\s+/);
  if (more.length > 0) throw unreadable(text, expected);
  const urls = servers.split(',').map((server) => server.trim());
  const isTls = urls.some((url) => url.startsWith('https://'));
  if (isTls && !urls.every((url) => url.startsWith('https://'))) {
    throw unreadable(text, 'https:// before all servers of a site, or before none');
  }
  const members = urls.map((url) => parseServer(url, isTls ? 443 : 80, text));
  return { kind: 'servers', members, isTls, ...(hops === undefined ? {} : { routes: parseHops(hops) }) };
}

/** Hops as `--via` takes them; the name of a file is no part of a site. */
function parseHops(hops: string): RoutePlan['routes'] {
  return parseVia(hops, 'any').routes;
}

function parseServer(url: string, port: number, text: string): Address {
  const server = parseHttpServer(url.replace(/^https?:\/\//, '').replace(/\/$/, ''), port);
  if (server) return server;
  throw unreadable(text, `a server, HOST or HOST:PORT, where it has "${url}"`);
}

/** HOST, or HOST:PORT; undefined for what is neither. */
export function parseHttpServer(text: string, port: number): Address | undefined {
  for (const written of [text, `${text}:${port}`]) {
    const parsed = parseAddress(written);
    if (parsed.kind === 'ok') return parsed.hop;
  }
  return undefined;
}

function unreadable(text: string, what: string): HoplineError {
  return new HoplineError('USAGE_INVALID', `--site: read "${text}", expected ${what}`);
}
