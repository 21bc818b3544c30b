/**
 * The sites and their gateway that are in effect, as a file would say it.
 *
 * Invariant: read as a file, it says the same rules again.
 */

import type { FieldRules } from '../http/fields.ts';
import { defaultHealthRule } from '../pool/health.ts';
import type { GatewayRules } from '../sites/http-service.ts';
import type { SiteRules } from '../sites/open-sites.ts';
import { formatHop } from '../wire/address.ts';
import { formatViaHop } from '../wire/keyed-hop.ts';
import { formatDuration, formatSize } from '../wire/quantity.ts';
import type { Place } from '../wire/route.ts';
import { formatHealth } from './members.ts';

export function formatGateway({ listen, trusted = [], tls, cache, accessLog }: GatewayRules): unknown {
  return {
    listen: listen && formatHop(listen),
    trusted,
    tls,
    cache: cache && {
      directory: cache.directory,
      size: cache.maxBytes && formatSize(cache.maxBytes),
      ttl: formatSeconds(cache.ttlS),
    },
    'access-log': accessLog && {
      file: accessLog.file,
      format: accessLog.format ?? 'combined',
      'mask-query': accessLog.maskQuery === 'all' ? ['*'] : (accessLog.maskQuery ?? []),
    },
  };
}

export function formatSites({ sites }: GatewayRules): unknown {
  return Object.fromEntries(sites.map((site) => [site.host, formatSite(site)]));
}

function formatSite(site: SiteRules): unknown {
  const { cache } = site;
  return {
    ...formatBackend(site),
    auth: site.auth,
    'max-body': site.maxBody && formatSize(site.maxBody),
    'pass-overrides': site.passOverrides,
    'request-fields': formatRules(site.requestFields),
    'answer-fields': formatRules(site.answerFields),
    cache: cache ? { ttl: formatSeconds(cache.ttlS), override: formatSeconds(cache.overrideS) } : cache !== false,
  };
}

function formatBackend({
  backend,
  servers = {},
  caFile,
  hostField,
  connect = false,
}: SiteRules): Readonly<Record<string, unknown>> {
  if (backend.kind === 'root') return { root: backend.directory };
  if (backend.kind === 'route') return { route: formatPlaces(backend.routes[0]) };
  const { algorithm = 'round-robin', check, sticky = false, dns = [], health, tls } = servers;
  const { serverName, insecure } = tls ?? {};
  const https = { ca: caFile, 'server-name': serverName, insecure };
  const isPlain = Object.values(https).every((value) => value === undefined);
  return {
    servers: backend.members.map(({ weight = 1, priority = 0, ...address }) =>
      weight === 1 && priority === 0 ? formatHop(address) : { address: formatHop(address), weight, priority },
    ),
    dns: dns.map((query) => ('service' in query ? query.service : formatHop(query))),
    via: backend.routes && formatPlaces(backend.routes[0]),
    algorithm,
    check,
    health: formatHealth({ ...defaultHealthRule, slowStartMs: 0, ...health }),
    sticky,
    https: backend.isTls && (isPlain || https),
    host: hostField,
    connect,
  };
}

function formatPlaces(places: readonly Place[] = []): string[] {
  return places.map((place) => place.map(formatViaHop).join(' | '));
}

function formatRules(rules: FieldRules | undefined): unknown {
  return rules && { remove: rules.remove, set: rules.set, add: rules.add };
}

function formatSeconds(seconds: number | undefined): string | undefined {
  return seconds === undefined ? undefined : formatDuration(seconds * 1000);
}
