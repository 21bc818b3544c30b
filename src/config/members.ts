/**
 * Keys about members of a pool that routes and sites have in common: where members are looked up, and when they are well.
 *
 * Owns the way there and back. Documentation: docs/configuration.md#keys
 */

import * as v from 'valibot';
import { parseNetworks } from '../io/names/networks.ts';
import type { HealthRule } from '../pool/health.ts';
import type { Query } from '../pool/sources/resolved.ts';
import { type Address, formatHop, parseAddress } from '../wire/address.ts';
import { formatDuration } from '../wire/quantity.ts';
import { about, accepted, duration, longDuration, mapping, required, text, whole } from './schema/values.ts';

/** For editors: what all addresses with a port look like, and all networks. */
export const hostAndPort = /^(\[[0-9A-Fa-f:.]+(%\w+)?\]|[^\s:[\]]+):\d{1,5}$/;
const cidr = /^[0-9A-Fa-f:.]+(%\w+)?(\/\d{1,3})?$/;

export const network = accepted((network) => parseNetworks([network], 'a network'), {
  expected: 'a CIDR or an address',
  example: '10.0.0.0/8',
  pattern: cidr,
});

export const query = text(parseQuery, {
  expected: 'HOST:PORT to look up, or the name of a service',
  example: 'files.example.org:7001 or _hopline._tcp.example.org',
  pattern: /^(_[\w-]+\._([Tt][Cc]|[Uu][Dd])[Pp]\.[\w.-]+|\[[0-9A-Fa-f:.]+\]:\d{1,5}|[^\s:[\]]+:\d{1,5})$/,
});

export const health = mapping(
  {
    interval: about('a member that has not answered for so long is checked', longDuration),
    timeout: about('for one check', longDuration),
    jitter: about('the share of the interval that a check may come early', share()),
    fall: about('failed checks in a row that take a member down', whole(1, 1000, 2)),
    rise: about('passed checks in a row that bring it up', whole(1, 1000, 2)),
    'eject-after': about('failed requests in a row that eject a member', whole(1, 1000, 3)),
    eject: about('how long the first ejection lasts', longDuration),
    'max-eject': about('how long one lasts at most', longDuration),
    'slow-start': about('until a member that was out has its full share again; 0 for at once', duration),
  },
  '{interval: 1s}',
);

/** Whoever stands in for others, as its address alone or with its place among them. */
export function memberOf<S extends v.GenericSchema<string, unknown>>(
  address: S,
  meaning: string,
  kind: string,
  example: string,
) {
  const written = `{address: ${example}, weight: 2}`;
  const fields = {
    address: required(meaning, address),
    weight: about('its share of the requests against the others’', whole(1, 1000, 2)),
    priority: about('lower ones go first; higher ones are a reserve', whole(0, 65_535, 1)),
  };
  return v.union(
    [address, mapping(fields, written)],
    `${kind}, or a mapping with an address, such as ${example} or ${written}`,
  );
}

export function toHealth(keys: v.InferOutput<typeof health>): Partial<HealthRule> {
  return withoutUndefined({
    intervalMs: keys.interval,
    timeoutMs: keys.timeout,
    jitter: keys.jitter,
    fall: keys.fall,
    rise: keys.rise,
    ejectAfter: keys['eject-after'],
    ejectMs: keys.eject,
    maxEjectMs: keys['max-eject'],
    slowStartMs: keys['slow-start'],
  });
}

export function formatHealth(rule: HealthRule): Readonly<Record<string, unknown>> {
  return {
    interval: formatDuration(rule.intervalMs),
    timeout: formatDuration(rule.timeoutMs),
    jitter: rule.jitter,
    fall: rule.fall,
    rise: rule.rise,
    'eject-after': rule.ejectAfter,
    eject: formatDuration(rule.ejectMs),
    'max-eject': formatDuration(rule.maxEjectMs),
    'slow-start': formatDuration(rule.slowStartMs),
  };
}

/** HOST:PORT, as it is written back. */
export function parseHopText(text: string): Address | undefined {
  const parsed = parseAddress(text);
  return parsed.kind === 'ok' && formatHop(parsed.hop) === text ? parsed.hop : undefined;
}

/** Keys that have a value. */
export function withoutUndefined<T extends object>(value: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(entries) as { [Key in keyof T]?: Exclude<T[Key], undefined> };
}

function share() {
  const message = 'a share from 0 to 1, such as 0.2';
  return v.pipe(v.number(message), v.minValue(0, message), v.maxValue(1, message));
}

function parseQuery(text: string): Query | undefined {
  if (/^_[\w-]+\._(tcp|udp)\.[\w.-]+$/i.test(text)) return { service: text };
  return parseHopText(text);
}
