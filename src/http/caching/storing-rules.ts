/**
 * Whether an answer may be stored, and what holds for it then (RFC 9111, sections 3 and 4.2).
 *
 * What is stored and how long it is fresh is http-cache-semantics' decision. It reads
 * fields more loosely than the RFC, so it is given them in one clear form; what it
 * has no notion of is added here: targeted fields (RFC 9213), must-understand,
 * fields named by private and no-cache, and the age on arrival.
 * Pure: time comes in with the answer.
 * Rules: docs/http/cache.md
 */

import CachePolicy from 'http-cache-semantics';
import type { RawFields } from '../exchange.ts';
import { fieldValue, hasAny, listMembers, without } from '../fields.ts';
import { dateOf } from '../representation/conditions.ts';
import { type Directives, namedFields, parseDirectives, parseTargeted, readSeconds, secondsOf } from './directives.ts';

/** How a site wants its answers treated. */
export interface CacheRules {
  /** False for the cache of one user. */
  readonly shared: boolean;
  /** Seconds that an answer is fresh which names no lifetime itself. */
  readonly ttlS?: number | undefined;
  /** Seconds that every answer is fresh which may be stored at all, whatever it says. */
  readonly overrideS?: number | undefined;
}

/** What an answer and the request that brought it say, with the times of both in milliseconds since 1970. */
export interface Arrival {
  readonly method: string;
  readonly requestFields: RawFields;
  readonly requestedMs: number;
  readonly status: number;
  readonly fields: RawFields;
  readonly arrivedMs: number;
}

/** What holds for a stored answer, all in seconds. */
export interface Terms {
  readonly lifetimeS: number;
  /** How old it was when it arrived. */
  readonly ageS: number;
  readonly staleWhileRevalidateS: number;
  readonly staleIfErrorS: number;
  /** Never stale to anyone. */
  readonly mustRevalidate: boolean;
  /** Not without asking the origin first. */
  readonly noCache: boolean;
}

export type StoringVerdict =
  | { readonly kind: 'store'; readonly terms: Terms; readonly fields: RawFields }
  /** `reason` is a word for Cache-Status. */
  | { readonly kind: 'skip'; readonly reason: string };

/** Statuses whose meaning for a cache we know, as must-understand has it. */
const understood = new Set([200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501]);
/** Of those, the ones that may be stored without being told so (RFC 9110, 15.1). */
const storedByDefault = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]);
/** Fields of one connection, or of a proxy: no part of what is stored. */
const unstoredFields = [
  'age',
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/** Judges an answer that has just arrived. */
export function judgeArrival(arrival: Arrival, rules: CacheRules): StoringVerdict {
  const { status, fields } = arrival;
  const directives = directivesFor(fields, rules);
  const skipped = forbids(arrival, directives, rules);
  if (skipped !== undefined) return { kind: 'skip', reason: skipped };
  const judged = ask(arrival, directives, rules);
  if (!judged.storable()) return { kind: 'skip', reason: 'not-storable' };
  const terms = termsOf(arrival, directives, rules, judged.maxAge());
  if (!isOfUse(terms, fields)) return { kind: 'skip', reason: storedByDefault.has(status) ? 'no-lifetime' : 'status' };
  return { kind: 'store', terms, fields: storedFields(arrival, directives, rules) };
}

/** How old it is now, in seconds; `arrivedMs` is when it arrived, or was last confirmed. */
export function ageOf(terms: Terms, arrivedMs: number, nowMs: number): number {
  return terms.ageS + Math.max(0, nowMs - arrivedMs) / 1000;
}

/** Cache-Control, or for a shared cache the field that is for such caches alone; Expires belongs to the former. */
function directivesFor(fields: RawFields, rules: CacheRules): Directives {
  const targeted = rules.shared ? parseTargeted(fieldValue(fields, 'cdn-cache-control')) : undefined;
  if (targeted) return new Map([...targeted, ['targeted', undefined]]);
  return parseDirectives(fieldValue(fields, 'cache-control'));
}

function forbids({ method, status, fields }: Arrival, directives: Directives, rules: CacheRules): string | undefined {
  if (method !== 'GET') return 'method';
  if (status < 200 || status === 206 || status === 304) return 'status';
  if (directives.has('must-understand')) {
    if (!understood.has(status)) return 'must-understand';
  } else if (directives.has('no-store')) return 'no-store';
  if (rules.shared && directives.has('private') && namedFields(directives, 'private').length === 0) return 'private';
  if (rules.shared && keepsCookie(fields, directives) && !directives.has('public') && rules.overrideS === undefined) {
    return 'set-cookie';
  }
  if (/(^|,)\s*\*\s*(,|$)/.test(fieldValue(fields, 'vary') ?? '')) return 'vary';
  return undefined;
}

/** A cookie belongs to whoever asked first, unless it is no part of what is stored. */
function keepsCookie(fields: RawFields, directives: Directives): boolean {
  if (fieldValue(fields, 'set-cookie') === undefined) return false;
  return !['private', 'no-cache'].some((name) => namedFields(directives, name).includes('set-cookie'));
}

/** The library's judgement, on fields in the one form that it reads as the RFC means them. */
function ask(arrival: Arrival, directives: Directives, rules: CacheRules): CachePolicy {
  const { fields, status } = arrival;
  const parts: string[] = directives.has('public') ? ['public'] : [];
  if (directives.has('must-revalidate')) parts.push('must-revalidate');
  for (const name of ['max-age', 's-maxage']) {
    const seconds = secondsOf(directives, name);
    if (seconds !== undefined) parts.push(`${name}=${seconds}`);
  }
  const hasExpires = !directives.has('targeted') && hasAny(fields, 'expires');
  const isExplicit = parts.length > 0 || hasExpires;
  const modified = dateOf(fields, 'last-modified');
  const headers = {
    ...(parts.length > 0 ? { 'cache-control': parts.join(', ') } : {}),
    ...(hasExpires ? { expires: dateText(dateOf(fields, 'expires')) } : {}),
    date: dateText(sentMs(arrival)),
    ...(modified === undefined ? {} : { 'last-modified': dateText(modified) }),
  };
  const authorization = fieldValue(arrival.requestFields, 'authorization');
  const request = { url: '/', method: 'GET', headers: authorization === undefined ? {} : { authorization } };
  // It knows few statuses; the RFC lets any be stored that says for how long.
  const known = isExplicit || storedByDefault.has(status) ? 200 : status;
  return new CachePolicy(request, { status: known, headers }, { shared: rules.shared });
}

function termsOf(arrival: Arrival, directives: Directives, rules: CacheRules, libraryS: number): Terms {
  const { fields, requestedMs, arrivedMs } = arrival;
  const apparentS = Math.max(0, (arrivedMs - sentMs(arrival)) / 1000);
  // The first of several counts, and one that is no number does not (RFC 9111, 5.1).
  const told = readSeconds(fieldValue(fields, 'age')?.split(',')[0]?.trim()) ?? 0;
  const isShared = rules.shared;
  return {
    lifetimeS: rules.overrideS ?? lifetimeOf(arrival, directives, rules, libraryS),
    ageS: Math.max(apparentS, told + (arrivedMs - requestedMs) / 1000),
    staleWhileRevalidateS: secondsOf(directives, 'stale-while-revalidate') ?? 0,
    staleIfErrorS: secondsOf(directives, 'stale-if-error') ?? 0,
    mustRevalidate:
      directives.has('must-revalidate') ||
      (isShared && (directives.has('proxy-revalidate') || directives.has('s-maxage'))),
    noCache:
      rules.overrideS === undefined && directives.has('no-cache') && namedFields(directives, 'no-cache').length === 0,
  };
}

function lifetimeOf({ fields, status }: Arrival, directives: Directives, rules: CacheRules, libraryS: number): number {
  const names = rules.shared ? ['max-age', 's-maxage'] : ['max-age'];
  const isNamed = names.some((name) => directives.has(name)) || fieldValue(fields, 'expires') !== undefined;
  if (isNamed) return libraryS;
  return rules.ttlS !== undefined && storedByDefault.has(status) ? rules.ttlS : libraryS;
}

/** Whether it could ever answer somebody else. */
function isOfUse(terms: Terms, fields: RawFields): boolean {
  if (terms.lifetimeS > 0 || terms.staleIfErrorS > 0 || terms.staleWhileRevalidateS > 0) return true;
  return hasAny(fields, 'etag', 'last-modified');
}

/** What is kept of an answer: end-to-end fields, without those that private or no-cache names. */
function storedFields({ fields, arrivedMs }: Arrival, directives: Directives, rules: CacheRules): RawFields {
  const named = rules.shared ? ['no-cache', 'private'] : ['no-cache'];
  const dropped = named.flatMap((name) => namedFields(directives, name));
  const kept = without(fields, ...unstoredFields, ...dropped, ...listMembers(fieldValue(fields, 'connection')));
  if (fieldValue(kept, 'date') === undefined) kept.push('Date', dateText(arrivedMs));
  return kept;
}

function sentMs({ fields, arrivedMs }: Arrival): number {
  return dateOf(fields, 'date') ?? arrivedMs;
}

/** A date that cannot be read has passed. */
function dateText(ms: number | undefined): string {
  return ms === undefined ? 'never' : new Date(ms).toUTCString();
}
