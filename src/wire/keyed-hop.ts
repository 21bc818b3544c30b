/**
 * A hop as people write it, with the keys that they know of it: `10.0.0.2 7001 key=hop1...`, `10.0.0.2:7001#hop1...`.
 *
 * Owns the text behind an address or a pool. A key does not travel: only the client knows for whom it encrypts.
 * Invariant: a hop that was written with a key has one, or there is an error.
 * Grammar: docs/route-file.md#keys
 */

import { HoplineError } from '../core/errors.ts';
import { type Address, formatHop, type Hop, isPoolHop, parseHop } from './address.ts';
import { type PublicKey, parsePublicKey } from './keys/key.ts';

/** Enough for one that is taken out of use while the next one comes. */
const maxKeys = 4;

/**
 * Parses one hop and its keys. `at` is where it stands, as in `route.txt:3`; `fail` makes the error for what was read and
 * what was expected. Throws that, and `KEY_INVALID` for a key that is none.
 */
export function parseKeyedHop(text: string, at: string, fail: (read: string, expected: string) => HoplineError): Hop {
  const { bare, options, marked } = splitKeys(text);
  const parsed = parseHop(bare);
  if (parsed.kind === 'bad') throw fail(bare, parsed.expected);
  const named = options.flatMap((option) => {
    const [name = '', value = ''] = option.split(/=(.*)/s);
    if (name !== 'key') throw fail(option, 'nothing, or key=hop1..., behind a hop');
    return value.split(',');
  });
  const keys = [...marked, ...named].map((key) => parsePublicKey(key, at));
  if (keys.length > maxKeys) throw fail(`${keys.length} keys`, `at most ${maxKeys}`);
  const twice = keys.find((key, index) => keys.findIndex((other) => other.equals(key)) !== index);
  if (twice) throw fail(twice.text, 'each key of a hop once');
  return { ...parsed.hop, ...ofKeys(keys) };
}

/** A node of at most one key, as `--via` has it; undefined for what is none. */
export function parseKeyedAddress(text: string): Address | undefined {
  try {
    const hop = parseKeyedHop(text, 'the address', () => new HoplineError('ROUTE_SYNTAX', 'no address'));
    return isPoolHop(hop) || hop.formerKeys || /[\s=]/.test(text.trim()) ? undefined : hop;
  } catch (error) {
    if (error instanceof HoplineError) return undefined;
    throw error;
  }
}

/** The text of hops without their keys, however wrong those are. */
export function withoutKeys(text: string): string {
  return text.replace(/\s\w+=\S+|#[^\s,|]*/g, '');
}

/** What whoever stands in for a hop must have. */
export function keysOf({ key, formerKeys = [] }: Hop): Pick<Hop, 'key' | 'formerKeys'> {
  return ofKeys([...(key ? [key] : []), ...formerKeys]);
}

/** The same hop, of which no key is known. */
export function withoutKnownKeys({ key: _key, formerKeys: _former, ...hop }: Hop): Hop {
  return hop;
}

/** A hop as a line of a route file has it. */
export function formatLineHop(hop: Hop): string {
  const bare = isPoolHop(hop) ? formatHop(hop) : `${hop.host} ${hop.port}`;
  return hop.key ? `${bare} key=${textsOf(hop).join(',')}` : bare;
}

/** A hop as `--via` has it. */
export function formatViaHop(hop: Hop): string {
  return [formatHop(hop), ...textsOf(hop)].join('#');
}

function textsOf({ key, formerKeys = [] }: Hop): string[] {
  return key ? [key, ...formerKeys].map(({ text }) => text) : [];
}

function ofKeys([key, ...formerKeys]: readonly PublicKey[]): Pick<Hop, 'key' | 'formerKeys'> {
  return { ...(key ? { key } : {}), ...(formerKeys.length > 0 ? { formerKeys } : {}) };
}

function splitKeys(text: string): { readonly bare: string; readonly options: string[]; readonly marked: string[] } {
  const words = text.trim().split(/\s+/);
  const first = words.findIndex((word) => word.includes('='));
  const head = (first < 0 ? words : words.slice(0, first)).join(' ');
  const [bare = '', ...marked] = head.split('#');
  return { bare: bare.trim(), options: first < 0 ? [] : words.slice(first), marked };
}
