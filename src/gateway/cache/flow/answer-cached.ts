/**
 * The course of a request through the cache: what it is answered from.
 *
 * Owns the decision whom an answer is shared with. Does not know what may be stored, nor what is fresh enough.
 * Invariant: an answer that may not be reused goes to the client that it was fetched for, and to no other.
 * Rules: docs/http/cache.md
 */

import { type CacheStatus, withCacheStatus } from '../../../http/caching/cache-status.ts';
import { invalidatedKeys, keyOf } from '../../../http/caching/keys.ts';
import { assess, beginsWhole, readAsked, type Use } from '../../../http/caching/request-rules.ts';
import { ageOf } from '../../../http/caching/storing-rules.ts';
import { describesSame } from '../../../http/caching/validation.ts';
import { isSelected, selectBy, selectionKey } from '../../../http/caching/vary.ts';
import { dropBody, type Exchange, type HttpAnswer, type HttpRequest } from '../../../http/exchange.ts';
import { without } from '../../../http/fields.ts';
import type { CacheEntry, CacheStore } from '../disk/store.ts';
import type { OriginAsker, Outcome, Plan } from './ask-origin.ts';
import { serveContent, serveNew } from './build-answer.ts';
import type { Flights } from './shared-fetches.ts';

/** What answers come out of. */
export interface Sources {
  readonly store: CacheStore;
  readonly fetcher: OriginAsker;
  readonly flights: Flights;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** What is known of a request before anybody is asked. */
interface Course extends Plan {
  readonly fwd: NonNullable<CacheStatus['fwd']>;
}

export class Courses {
  readonly #sources: Sources;
  #hits = 0;
  #misses = 0;

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  /** Requests that were answered from the cache alone, and those that were not but could have been. */
  get counts(): { readonly hits: number; readonly misses: number } {
    return { hits: this.#hits, misses: this.#misses };
  }

  /** Rejects as the exchange does. */
  async answer({ exchange, rules, request }: Pick<Plan, 'exchange' | 'rules' | 'request'>): Promise<HttpAnswer> {
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

  #find(key: string, request: HttpRequest): { entry: CacheEntry | undefined; fwd: 'uri-miss' | 'vary-miss' } {
    const variants = this.#sources.store.variants(key);
    let entry: CacheEntry | undefined;
    for (const variant of variants) if (isSelected(variant.record.head.selection, request.fields)) entry = variant;
    return { entry, fwd: variants.length > 0 ? 'vary-miss' : 'uri-miss' };
  }

  /** Undefined if the origin must be asked first. */
  async #answerStored(course: Course, entry: CacheEntry, use: Use): Promise<HttpAnswer | undefined> {
    if (use === 'validate' || use === 'validate-anyway') return undefined;
    const { terms } = entry.record.head;
    const status = { isHit: true, ttlS: terms.lifetimeS - this.#ageOf(entry) };
    const detail = use === 'fresh' ? {} : { detail: use };
    const answer = await this.#serve(course, entry, { ...status, ...detail });
    if (!answer) return undefined;
    this.#hits += 1;
    course.request.notes.cache = use === 'fresh' ? 'hit' : 'stale';
    if (use === 'stale-while-revalidate') this.#sources.flights.refresh({ ...course, entry }, this.#flightKey(course));
    return answer;
  }

  /** Undefined if the entry turns out to be damaged. */
  async #serve(course: Course, entry: CacheEntry, status: CacheStatus): Promise<HttpAnswer | undefined> {
    const { head, contentBytes } = entry.record;
    const { request, asked } = course;
    const content = await this.#sources.store.open(entry);
    if (!content) return undefined;
    this.#sources.store.touch(entry);
    return serveContent({ request, asked, head, ageS: this.#ageOf(entry), status }, content, contentBytes);
  }

  async #goOn(course: Course): Promise<HttpAnswer> {
    const { request, asked, entry, fwd } = course;
    const key = this.#flightKey(course);
    const completing = this.#sources.flights.completing(key);
    if (completing) {
      await completing;
      return this.answer(course);
    }
    if (asked.directives.has('only-if-cached')) return notCached(course);
    this.#misses += 1;
    if (request.method === 'HEAD') return this.#passHead(course);
    const isWhole = this.#asksForWhole(course, key);
    const isForOne = this.#isForOne(course, key) && !isWhole;
    const isReused = !entry || (entry.record.head.terms.lifetimeS > 0 && !entry.record.head.terms.noCache);
    if (isForOne || !isReused || fwd === 'request' || asked.directives.has('no-cache')) return this.#fetchAlone(course);
    const joined = await this.#sources.flights.join(isWhole ? forWhole(course) : course, key);
    if (isWhole && isUnstored(joined.outcome)) return this.#fetchRange(course, key, joined);
    if (joined.isFirst) return this.#deliver(course, joined.outcome);
    const shared = await this.#share(course, joined.outcome);
    if (shared) return shared;
    if (joined.outcome.kind === 'own') this.#sources.flights.doNotShare(key);
    return this.#fetchAlone({ ...course, entry: undefined });
  }

  /** Whether the whole is fetched in place of a range that begins as it does. */
  #asksForWhole(course: Course, key: string): boolean {
    if (!course.rules.shared || course.entry !== undefined) return false;
    return beginsWhole(course.request, course.asked) && this.#sources.flights.isShared(key);
  }

  #isForOne({ entry, asked }: Course, key: string): boolean {
    return !entry && (asked.range !== undefined || asked.isConditional) && !this.#sources.flights.has(key);
  }

  async #fetchAlone(course: Course): Promise<HttpAnswer> {
    const outcome = await this.#sources.fetcher.fetch(course);
    if (outcome.kind === 'own' && outcome.isOfSmall) {
      this.#sources.flights.refresh(forWhole(course), this.#flightKey(course));
    }
    return this.#deliver(course, outcome);
  }

  /** The whole was asked for in place of its beginning, and is not for the cache. */
  async #fetchRange(course: Course, key: string, { outcome, isFirst }: Joined): Promise<HttpAnswer> {
    if (isFirst && outcome.kind === 'own') void dropBody(outcome.answer.body);
    this.#sources.flights.doNotShare(key);
    return this.#fetchAlone(course);
  }

  /** To whom it was fetched for. */
  async #deliver(course: Course, outcome: Outcome): Promise<HttpAnswer> {
    const { request, asked, fwd } = course;
    if (outcome.kind === 'own') {
      request.notes.cache = 'miss';
      const { answer } = outcome;
      return { ...answer, fields: withCacheStatus(answer.fields, { fwd, detail: outcome.reason }) };
    }
    if (outcome.kind === 'new') {
      request.notes.cache = 'miss';
      const head = { ...outcome.head, fields: outcome.fields };
      const ttlS = head.terms.lifetimeS - head.terms.ageS;
      const fwdStatus = asked.isConditional ? head.status : undefined;
      const status = { fwd, fwdStatus, ttlS, isStored: true };
      return serveNew({ request, asked, head, ageS: undefined, status }, outcome.content);
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
    const head = outcome.kind === 'new' ? outcome.head : outcome.entry.record.head;
    if (!isSelected(head.selection, request.fields)) return undefined;
    if (outcome.kind === 'entry') {
      const isGood = outcome.failure !== undefined || assess(head.terms, this.#ageOf(outcome.entry), asked) === 'fresh';
      return isGood && outcome.entry.isStored ? this.#deliverEntry(course, outcome, true) : undefined;
    }
    const ageS = ageOf(head.terms, head.arrivedMs, this.#sources.now());
    const { content } = outcome;
    const isHere = Buffer.isBuffer(content) || content.filling.isJoinable;
    if (!isHere || assess(head.terms, ageS, asked) !== 'fresh') return undefined;
    request.notes.cache = 'collapsed';
    const status = { fwd, ttlS: head.terms.lifetimeS - ageS, isCollapsed: true };
    return serveNew({ request, asked, head, ageS, status }, content);
  }

  async #pass(course: Course): Promise<HttpAnswer> {
    course.request.notes.cache = 'bypass';
    const answer = await course.exchange(course.request);
    return { ...answer, fields: withCacheStatus(answer.fields, { fwd: course.fwd }) };
  }

  /** The answer to HEAD says whether the stored content is still the origin's (RFC 9111, 4.3.5). */
  async #passHead(course: Course): Promise<HttpAnswer> {
    const { request, exchange, entry, fwd } = course;
    const requestedMs = this.#sources.now();
    const answer = await exchange(request);
    request.notes.cache = 'miss';
    if (entry?.isStored && answer.status === entry.record.head.status) {
      const { store, fetcher } = this.#sources;
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
    this.#sources.flights.forget((known) => changed.includes(known));
    for (const one of changed) await this.#sources.fetcher.invalidate(one);
    return { ...answer, fields: withCacheStatus(answer.fields, { fwd: 'method' }) };
  }

  #ageOf({ record }: CacheEntry): number {
    return ageOf(record.head.terms, record.head.arrivedMs, this.#sources.now());
  }

  /** Requests that, as far as is known, want the same answer. */
  #flightKey({ key, request }: Course): string {
    const newest = this.#sources.store.variants(key).at(-1);
    return newest ? `${key}\n${selectionKey(selectBy(newest.record.head.fields, request.fields))}` : key;
  }
}

type Joined = Awaited<ReturnType<Flights['join']>>;

function forWhole(course: Course): Course {
  const { request } = course;
  return { ...course, request: { ...request, fields: without(request.fields, 'range', 'if-range') } };
}

function isUnstored(outcome: Outcome): boolean {
  return outcome.kind === 'own' && outcome.answer.status === 200;
}

function notCached({ request, fwd }: Course): HttpAnswer {
  request.notes.cache = 'miss';
  const fields = withCacheStatus(['Content-Length', '0'], { fwd, detail: 'only-if-cached' });
  return { status: 504, reason: 'Gateway Timeout', fields, body: undefined };
}
