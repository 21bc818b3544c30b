/**
 * A shared or private cache around exchanges, as RFC 9111 has it: the whole course of a request is here.
 *
 * Decides what a request is answered from; what may be stored is policy.ts's
 * decision, what is fresh enough asked.ts's, and store.ts has the entries. Many requests for one
 * answer that is not there share one fetch (flights).
 * Invariant: an answer that may not be reused goes to whoever it was fetched for, and to nobody else.
 * Rules: docs/http.md#cache
 */

import { type Clock, systemClock } from '../../core/clock.ts';
import type { Limits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import type { Exchange, HttpAnswer, HttpRequest } from '../exchange.ts';
import { assess, readAsked, type Use } from './asked.ts';
import { type CacheStatus, withCacheStatus } from './cache-status.ts';
import { ageOf, Fetcher, type Outcome, type Plan } from './fetching.ts';
import { Flights } from './flights.ts';
import { type FlushRequests, serveFlushRequests } from './flush-requests.ts';
import { describesSame } from './freshen.ts';
import { invalidatedKeys, isMeant, keyOf } from './keys.ts';
import { describeEntry, type ListedEntry } from './listed.ts';
import { serveContent, serveFilling } from './serve.ts';
import { CacheStore, type Entry } from './store.ts';
import { isSelected, selectBy, selectionKey } from './vary.ts';

export interface HttpCacheOptions {
  readonly directory: string;
  /** Bytes on disk. @default limits.maxCacheBytes */
  readonly maxBytes?: number;
  /** False for the cache of one user. @default true */
  readonly shared?: boolean;
  readonly limits: Limits;
  readonly log: Logger;
  /** Milliseconds since 1970. @default Date.now */
  readonly now?: () => number;
  /** For looking after requests to flush. @default systemClock */
  readonly clock?: Clock;
}

/** How one site's answers are treated. */
export interface SiteCacheOptions {
  /** Seconds that an answer is fresh which names no lifetime itself. */
  readonly ttlS?: number | undefined;
  /** Seconds that every answer is fresh which may be stored at all, whatever lifetime it names. */
  readonly overrideS?: number | undefined;
}

export interface CacheStats {
  readonly entries: number;
  readonly bytes: number;
  readonly memoryBytes: number;
  readonly hits: number;
  readonly misses: number;
}

export interface HttpCache {
  /** The same exchange, answered from the cache where that may be. */
  wrap(exchange: Exchange, site?: SiteCacheOptions): Exchange;
  stat(): CacheStats;
  list(): readonly ListedEntry[];
  /** Removes what is stored of a host, of a URL, or everything; resolves to how many entries that were. */
  flush(target?: string): Promise<number>;
  /** Waits for what is being stored, and frees the directory. */
  close(): Promise<void>;
}

/** Opens the cache in a directory, which is made if it is not there. Throws `USAGE_INVALID`, or `DISK_BUSY` if another process has it. */
export async function createHttpCache(options: HttpCacheOptions): Promise<HttpCache> {
  const { directory, log, maxBytes = options.limits.maxCacheBytes, now = Date.now } = options;
  const limits = { ...options.limits, maxCacheEntryBytes: Math.min(options.limits.maxCacheEntryBytes, maxBytes) };
  const store = await CacheStore.open({ directory, maxBytes, limits, log });
  const fetcher = new Fetcher({ store, limits, log, now });
  return new StoringCache({
    store,
    fetcher,
    limits,
    now,
    shared: options.shared ?? true,
    serveRequests: (flush) => serveFlushRequests(directory, flush, { clock: options.clock ?? systemClock, limits }),
  });
}

interface Parts {
  readonly store: CacheStore;
  readonly fetcher: Fetcher;
  readonly limits: Limits;
  readonly now: () => number;
  readonly shared: boolean;
  readonly serveRequests: (flush: (target: string | undefined) => Promise<number>) => FlushRequests;
}

/** What is known of a request before anybody is asked. */
interface Course extends Plan {
  readonly fwd: NonNullable<CacheStatus['fwd']>;
}

class StoringCache implements HttpCache {
  readonly #parts: Parts;
  readonly #flights: Flights;
  readonly #requests: FlushRequests;
  #hits = 0;
  #misses = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#flights = new Flights(parts.fetcher, parts.limits, parts.now);
    this.#requests = parts.serveRequests((target) => this.flush(target));
  }

  wrap(exchange: Exchange, site: SiteCacheOptions = {}): Exchange {
    const rules = { shared: this.#parts.shared, ...site };
    return (request) => this.#answer({ exchange, rules, request });
  }

  stat(): CacheStats {
    return { ...this.#parts.store.size, hits: this.#hits, misses: this.#misses };
  }

  list(): readonly ListedEntry[] {
    const nowMs = this.#parts.now();
    return [...this.#parts.store.all()].map((entry) => describeEntry(entry, nowMs));
  }

  async flush(target?: string): Promise<number> {
    const { store, fetcher } = this.#parts;
    this.#flights.forget((key) => isMeant(key, target));
    fetcher.outdate((key) => isMeant(key, target));
    const entries = [...store.all()].filter(({ record }) => isMeant(record.head.key, target));
    for (const entry of entries) await store.remove(entry);
    return entries.length;
  }

  async close(): Promise<void> {
    await this.#requests.close();
    this.#flights.stop();
    await this.#parts.fetcher.settle();
    await this.#parts.store.close();
  }

  async #answer({ exchange, rules, request }: Pick<Plan, 'exchange' | 'rules' | 'request'>): Promise<HttpAnswer> {
    const key = keyOf(request);
    if (request.method !== 'GET' && request.method !== 'HEAD') return this.#passOther(exchange, request, key);
    const asked = readAsked(request.fields);
    const { entry, fwd } = this.#find(key, request);
    const course = { exchange, rules, request, asked, key, entry, mayStore: true, fwd };
    // The origin's conditions and what must leave no trace are not for us.
    const isBypass =
      request.body !== undefined ||
      request.upgrade !== undefined ||
      asked.isForOrigin ||
      asked.directives.has('no-store');
    if (isBypass) return this.#pass({ ...course, fwd: 'bypass' });
    if (entry) {
      const use = assess(entry.record.head.terms, this.#ageOf(entry), asked);
      const answer = await this.#answerStored(course, entry, use);
      if (answer) return answer;
      if (entry.isStored) return this.#goOn({ ...course, fwd: use === 'validate-anyway' ? 'request' : 'stale' });
    }
    return this.#goOn({ ...course, entry: undefined });
  }

  #find(key: string, request: HttpRequest): { entry: Entry | undefined; fwd: 'uri-miss' | 'vary-miss' } {
    const variants = this.#parts.store.variants(key);
    let entry: Entry | undefined;
    for (const variant of variants) if (isSelected(variant.record.head.selection, request.fields)) entry = variant;
    return { entry, fwd: variants.length > 0 ? 'vary-miss' : 'uri-miss' };
  }

  /** Undefined if the origin must be asked first. */
  async #answerStored(course: Course, entry: Entry, use: Use): Promise<HttpAnswer | undefined> {
    if (use === 'validate' || use === 'validate-anyway') return undefined;
    const { terms } = entry.record.head;
    const status = { isHit: true, ttlS: terms.lifetimeS - this.#ageOf(entry) };
    const detail = use === 'fresh' ? {} : { detail: use };
    const answer = await this.#serve(course, entry, { ...status, ...detail });
    if (!answer) return undefined;
    this.#hits += 1;
    course.request.notes.cache = use === 'fresh' ? 'hit' : 'stale';
    if (use === 'stale-while-revalidate') this.#flights.refresh({ ...course, entry }, this.#flightKey(course));
    return answer;
  }

  /** Undefined if the entry turns out to be damaged. */
  async #serve(course: Course, entry: Entry, status: CacheStatus): Promise<HttpAnswer | undefined> {
    const { head, contentBytes } = entry.record;
    const { request, asked } = course;
    const content = await this.#parts.store.open(entry);
    if (!content) return undefined;
    this.#parts.store.touch(entry);
    return serveContent({ request, asked, head, ageS: this.#ageOf(entry), status }, content, contentBytes);
  }

  async #goOn(course: Course): Promise<HttpAnswer> {
    const { request, asked, entry, fwd } = course;
    const key = this.#flightKey(course);
    const completing = this.#flights.completing(key);
    if (completing) {
      await completing;
      return this.#answer(course);
    }
    if (asked.directives.has('only-if-cached')) return notCached(course);
    this.#misses += 1;
    if (request.method === 'HEAD') return this.#passHead(course);
    const isForOne = !entry && (asked.range !== undefined || asked.isConditional) && !this.#flights.has(key);
    const isReused = !entry || (entry.record.head.terms.lifetimeS > 0 && !entry.record.head.terms.noCache);
    if (isForOne || !isReused || fwd === 'request' || asked.directives.has('no-cache')) return this.#fetchAlone(course);
    const joined = await this.#flights.join(course, key);
    if (joined.isFirst) return this.#deliver(course, joined.outcome);
    const shared = await this.#share(course, joined.outcome);
    if (shared) return shared;
    if (joined.outcome.kind === 'own') this.#flights.doNotShare(key);
    return this.#fetchAlone({ ...course, entry: undefined });
  }

  async #fetchAlone(course: Course): Promise<HttpAnswer> {
    return this.#deliver(course, await this.#parts.fetcher.fetch(course));
  }

  /** To whom it was fetched for. */
  async #deliver(course: Course, outcome: Outcome): Promise<HttpAnswer> {
    const { request, asked, fwd } = course;
    if (outcome.kind === 'own') {
      request.notes.cache = 'miss';
      const { answer } = outcome;
      return { ...answer, fields: withCacheStatus(answer.fields, { fwd, detail: outcome.reason }) };
    }
    if (outcome.kind === 'filling') {
      request.notes.cache = 'miss';
      const head = { ...outcome.head, fields: outcome.fields };
      const ttlS = head.terms.lifetimeS - head.terms.ageS;
      const fwdStatus = asked.isConditional ? head.status : undefined;
      const status = { fwd, fwdStatus, ttlS, isStored: true };
      return serveFilling({ request, asked, head, ageS: undefined, status }, outcome);
    }
    return this.#deliverEntry(course, outcome, false);
  }

  async #deliverEntry(
    course: Course,
    { entry, fwdStatus, failure }: Extract<Outcome, { kind: 'entry' }>,
    isCollapsed: boolean,
  ): Promise<HttpAnswer> {
    course.request.notes.cache = failure === undefined ? 'validated' : 'stale';
    const ttlS = entry.record.head.terms.lifetimeS - this.#ageOf(entry);
    const status = { fwd: course.fwd, fwdStatus, ttlS, isStored: failure === undefined, isCollapsed, detail: failure };
    const answer = await this.#serve(course, entry, status);
    return answer ?? this.#fetchAlone({ ...course, entry: undefined });
  }

  /** To somebody who waited for it; undefined if it is not for them. */
  async #share(course: Course, outcome: Outcome): Promise<HttpAnswer | undefined> {
    const { request, asked, fwd } = course;
    if (outcome.kind === 'own') return undefined;
    const head = outcome.kind === 'filling' ? outcome.head : outcome.entry.record.head;
    if (!isSelected(head.selection, request.fields)) return undefined;
    if (outcome.kind === 'entry') {
      const isGood = outcome.failure !== undefined || assess(head.terms, this.#ageOf(outcome.entry), asked) === 'fresh';
      return isGood && outcome.entry.isStored ? this.#deliverEntry(course, outcome, true) : undefined;
    }
    const ageS = ageOf(head.terms, head.arrivedMs, this.#parts.now());
    if (!outcome.filling.isJoinable || assess(head.terms, ageS, asked) !== 'fresh') return undefined;
    request.notes.cache = 'collapsed';
    const status = { fwd, ttlS: head.terms.lifetimeS - ageS, isCollapsed: true };
    return serveFilling({ request, asked, head, ageS, status }, outcome);
  }

  async #pass(course: Course): Promise<HttpAnswer> {
    course.request.notes.cache = 'bypass';
    const answer = await course.exchange(course.request);
    return { ...answer, fields: withCacheStatus(answer.fields, { fwd: course.fwd }) };
  }

  /** The answer to HEAD says whether the stored content is still the origin's (RFC 9111, 4.3.5). */
  async #passHead(course: Course): Promise<HttpAnswer> {
    const { request, exchange, entry, fwd } = course;
    const requestedMs = this.#parts.now();
    const answer = await exchange(request);
    request.notes.cache = 'miss';
    if (entry?.isStored && answer.status === entry.record.head.status) {
      const { store, fetcher } = this.#parts;
      if (!describesSame(answer.fields, entry.record.head.fields)) await store.remove(entry);
      else await fetcher.freshen({ ...course, request: { ...request, method: 'GET' } }, entry, answer, requestedMs);
    }
    return { ...answer, fields: withCacheStatus(answer.fields, { fwd }) };
  }

  /** What may change something makes what is stored of it invalid (RFC 9111, 4.4). */
  async #passOther(exchange: Exchange, request: HttpRequest, key: string): Promise<HttpAnswer> {
    request.notes.cache = 'bypass';
    const answer = await exchange(request);
    const changed = invalidatedKeys(request, answer, key);
    this.#flights.forget((known) => changed.includes(known));
    for (const one of changed) await this.#parts.fetcher.invalidate(one);
    return { ...answer, fields: withCacheStatus(answer.fields, { fwd: 'method' }) };
  }

  #ageOf({ record }: Entry): number {
    return ageOf(record.head.terms, record.head.arrivedMs, this.#parts.now());
  }

  /** Requests that, as far as is known, want the same answer. */
  #flightKey({ key, request }: Course): string {
    const newest = this.#parts.store.variants(key).at(-1);
    return newest ? `${key}\n${selectionKey(selectBy(newest.record.head.fields, request.fields))}` : key;
  }
}

function notCached({ request, fwd }: Course): HttpAnswer {
  request.notes.cache = 'miss';
  const fields = withCacheStatus(['Content-Length', '0'], { fwd, detail: 'only-if-cached' });
  return { status: 504, reason: 'Gateway Timeout', fields, body: undefined };
}
