/**
 * From the keys about HTTP of a checked file to the rules of a gateway.
 *
 * Knows nothing about how a gateway keeps to its rules, or about the way back from rules to keys.
 */

import path from 'node:path';
import type { GatewayRules } from '../sites/http-service.ts';
import type { SiteRules } from '../sites/open-sites.ts';
import { parseHttpServer } from '../sites/site-text.ts';
import { parseVia } from '../wire/route.ts';
import { toHealth, withoutUndefined } from './members.ts';
import type { GatewayKeys, SiteKeys } from './schema/sites-schema.ts';

/** The rules of a gateway; undefined if there is no site. */
export function toGateway(
  keys: GatewayKeys | undefined,
  siteKeys: Readonly<Record<string, SiteKeys>> | undefined,
  base: string,
): GatewayRules | undefined {
  if (siteKeys === undefined) return undefined;
  const { listen, trusted, tls, cache, 'access-log': accessLog } = keys ?? {};
  const at = (name: string) => path.resolve(base, name);
  const mask = accessLog?.['mask-query'] ?? [];
  return {
    listen,
    sites: Object.entries(siteKeys).map(([name, each]) => toSite(name, each, at)),
    trusted,
    tls: tls && { cert: at(tls.cert), key: at(tls.key) },
    cache: cache && { directory: at(cache.directory), maxBytes: cache.size, ttlS: seconds(cache.ttl) },
    accessLog: accessLog && {
      file: accessLog.file === '-' ? '-' : at(accessLog.file),
      format: accessLog.format ?? 'combined',
      maskQuery: mask.includes('*') ? 'all' : mask,
    },
  };
}

function toSite(name: string, keys: SiteKeys, at: (name: string) => string): SiteRules {
  const { cache, algorithm, check, sticky, dns, health: rule, https, auth } = keys;
  const { ca, 'server-name': serverName, insecure } = typeof https === 'object' ? https : {};
  const caching = typeof cache === 'object' ? { ttlS: seconds(cache.ttl), overrideS: seconds(cache.override) } : cache;
  return {
    host: name,
    backend: toBackend(keys, at),
    servers: {
      algorithm,
      check,
      sticky,
      ...(dns ? { dns } : {}),
      ...(rule ? { health: toHealth(rule) } : {}),
      ...(serverName !== undefined || insecure !== undefined ? { tls: { serverName, insecure } } : {}),
    },
    caFile: ca && at(ca),
    hostField: keys.host,
    connect: keys.connect,
    auth: auth && { ...auth, basic: auth.basic && at(auth.basic), bearer: auth.bearer && at(auth.bearer) },
    maxBody: keys['max-body'],
    passOverrides: keys['pass-overrides'],
    requestFields: keys['request-fields'],
    answerFields: keys['answer-fields'],
    cache: caching === true ? undefined : caching,
  };
}

function toBackend(keys: SiteKeys, at: (name: string) => string): SiteRules['backend'] {
  const { route, root, servers = [], via, https = false } = keys;
  if (root !== undefined) return { kind: 'root', directory: at(root) };
  if (route !== undefined) return { kind: 'route', routes: parseVia(route.join(','), 'any').routes };
  const port = https === false ? 80 : 443;
  const members = servers.flatMap((each) => {
    const { address, weight, priority } =
      typeof each === 'string' ? { address: each, weight: undefined, priority: undefined } : each;
    const server = parseHttpServer(address, port);
    return server ? [{ ...server, ...withoutUndefined({ weight, priority }) }] : [];
  });
  const routes = via && parseVia(via.join(','), 'any').routes;
  return { kind: 'servers', members, isTls: https !== false, ...(routes ? { routes } : {}) };
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000;
}
