/**
 * A site as it is written on a command line: `HOST=SERVER,SERVER`.
 *
 * Grammar: docs/http.md#the-command
 */

import { type Algorithm, type Hop, HoplineError, parseHop, type SiteOptions } from '../index.ts';

const ports: Readonly<Record<string, number>> = { http: 80, https: 443 };

/** Parses a site. Throws `USAGE_INVALID`. */
export function parseSite(text: string, algorithm?: Algorithm): SiteOptions {
  const [, host = '', list = ''] = /^([^=\s]+)=(\S+)$/.exec(text) ?? [];
  const servers = list.split(',').map(parseServer);
  const [first] = servers;
  const members = servers.flatMap((server) => (server ? [server.hop] : []));
  if (!first || members.length < servers.length) throw invalid(text, 'HOST=SERVER[,SERVER], such as *=10.0.0.5:80');
  if (servers.some((server) => server?.scheme !== first.scheme)) {
    throw invalid(text, 'servers that are all http or all https');
  }
  return { host, backend: { members, algorithm, tls: first.scheme === 'https' ? {} : undefined } };
}

interface Server {
  readonly scheme: string;
  readonly hop: Hop;
}

/** `10.0.0.5`, `10.0.0.5:8080`, `[::1]:8080` or any of them behind a scheme; without a port, that of the scheme. */
function parseServer(text: string): Server | undefined {
  const [, scheme = 'http', rest = ''] = /^(?:(https?):\/\/)?([^/]+)\/?$/.exec(text) ?? [];
  const withPort = /^(\[[^\]]*\]|[^:[\]]+)$/.test(rest) ? `${rest}:${ports[scheme]}` : rest;
  const parsed = parseHop(withPort);
  return parsed.kind === 'ok' ? { scheme, hop: parsed.hop } : undefined;
}

function invalid(text: string, expected: string): HoplineError {
  return new HoplineError('USAGE_INVALID', `--site: read "${text}", expected ${expected}`);
}
