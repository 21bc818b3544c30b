/**
 * What a request asks of a cache, and whether a stored answer is good enough for it (RFC 9111, 4.2.4 and 5.2.1).
 *
 * Pure. Invariant: what the origin forbids is never allowed by a request.
 */

import type { HttpRequest, RawFields } from '../exchange.ts';
import { fieldValue, hasAny } from '../fields.ts';
import { firstBytes } from '../representation/ranges.ts';
import { type Directives, parseDirectives, readSeconds, secondsOf } from './directives.ts';
import type { Terms } from './storing-rules.ts';

export interface RequestRules {
  readonly directives: Directives;
  readonly range: string | undefined;
  /** If-None-Match, If-Modified-Since or If-Range is there. */
  readonly isConditional: boolean;
  /** If-Match or If-Unmodified-Since is there, which are for the origin to judge. */
  readonly isForOrigin: boolean;
}

/** How a stored answer can be used. */
export type Use =
  /** As it is. */
  | 'fresh'
  /** As it is, while a new one is fetched. */
  | 'stale-while-revalidate'
  /** As it is, because the request takes stale ones. */
  | 'stale-allowed'
  /** Only once the origin has confirmed it: it is stale. */
  | 'validate'
  /** As before, but it is fresh: the request wants it so. */
  | 'validate-anyway';

export function readAsked(fields: RawFields): RequestRules {
  const control = fieldValue(fields, 'cache-control');
  const pragma = fieldValue(fields, 'pragma') ?? '';
  // Pragma is Cache-Control's predecessor and counts without it alone (RFC 9111, 5.4).
  const directives = parseDirectives(control ?? (/\bno-cache\b/i.test(pragma) ? 'no-cache' : undefined));
  return {
    directives,
    range: fieldValue(fields, 'range'),
    isConditional: hasAny(fields, 'if-none-match', 'if-modified-since', 'if-range'),
    isForOrigin: hasAny(fields, 'if-match', 'if-unmodified-since'),
  };
}

/** So much comes in a moment. */
const nearBytes = 64 * 1024;

/**
 * Whether a range begins where the whole does, or so near that nobody waits for what is before it: players and resumed
 * copies ask so. The whole answers such a request as well.
 */
export function beginsWhole({ method, fields }: HttpRequest, { range }: RequestRules): boolean {
  if (method !== 'GET' || range === undefined || range.includes(',')) return false;
  if (hasAny(fields, 'if-none-match', 'if-modified-since')) return false;
  const first = firstBytes(range);
  return first !== undefined && first.offset <= nearBytes;
}

/** `ageS` is how old the answer is now. */
export function assess(terms: Terms, ageS: number, { directives }: RequestRules): Use {
  const isFresh = ageS < terms.lifetimeS && !terms.noCache;
  if (directives.size === 0) return isFresh ? 'fresh' : assessStale(terms, ageS);
  const isNew = !directives.has('no-cache') && ageS <= (secondsOf(directives, 'max-age') ?? Number.POSITIVE_INFINITY);
  const isLasting = terms.lifetimeS - ageS >= (secondsOf(directives, 'min-fresh') ?? Number.NEGATIVE_INFINITY);
  if (isFresh) return isNew && isLasting ? 'fresh' : 'validate-anyway';
  if (isNew && takesStale(terms, ageS, directives)) return 'stale-allowed';
  return isNew && isLasting ? assessStale(terms, ageS) : 'validate';
}

/** Whether a stale answer may stand in for a failure; `maxStaleS` is how stale it may be without either side having said so. */
export function allowsStaleOnError(
  terms: Terms,
  ageS: number,
  { directives }: RequestRules,
  maxStaleS: number,
): boolean {
  if (isNeverStale(terms) || directives.has('no-cache')) return false;
  const requested = readSeconds(directives.get('stale-if-error')) ?? 0;
  return ageS < terms.lifetimeS + Math.max(terms.staleIfErrorS, requested, maxStaleS);
}

function assessStale(terms: Terms, ageS: number): Use {
  if (isNeverStale(terms) || ageS >= terms.lifetimeS + terms.staleWhileRevalidateS) return 'validate';
  return 'stale-while-revalidate';
}

function takesStale(terms: Terms, ageS: number, directives: Directives): boolean {
  if (isNeverStale(terms) || !directives.has('max-stale')) return false;
  const byS = directives.get('max-stale') === undefined ? Number.POSITIVE_INFINITY : secondsOf(directives, 'max-stale');
  return ageS - terms.lifetimeS <= (byS ?? 0);
}

function isNeverStale(terms: Terms): boolean {
  return terms.mustRevalidate || terms.noCache;
}
