/**
 * What the cache asks of the origin: an answer to store, or a word that the stored one still holds.
 *
 * Owns the way from an answer's arrival to what can be served of it. Does not know which other clients wait for the answer.
 * Invariant: a request that overtakes an invalidation of its key stores nothing.
 */

import type { Limits } from '../../../core/limits.ts';
import type { Logger } from '../../../core/log.ts';
import { allowsStaleOnError, type RequestRules } from '../../../http/caching/request-rules.ts';
import { type Arrival, ageOf, type CacheRules, judgeArrival } from '../../../http/caching/storing-rules.ts';
import { confirms, mergeFields, validationFields } from '../../../http/caching/validation.ts';
import { selectBy } from '../../../http/caching/vary.ts';
import {
  dropBody,
  type Exchange,
  type HttpAnswer,
  type HttpRequest,
  isFile,
  type RawFields,
} from '../../../http/exchange.ts';
import type { EntryHead } from '../disk/entry-record.ts';
import type { CacheEntry, CacheStore } from '../disk/store.ts';
import { partOf, wholeFields } from '../parts.ts';
import type { Arriving } from './build-answer.ts';
import { AnswerStorer, contentBytes, type Ticket } from './store-answer.ts';

export interface Plan {
  readonly exchange: Exchange;
  readonly rules: CacheRules;
  readonly request: HttpRequest;
  readonly asked: RequestRules;
  readonly key: string;
  /** What is stored for the request, if the origin is only to confirm it. */
  readonly entry: CacheEntry | undefined;
  readonly mayStore: boolean;
}

/** What came of a request to the origin. */
export type Outcome =
  /** For whoever asked alone. */
  | {
      readonly kind: 'own';
      readonly answer: HttpAnswer;
      readonly reason: string;
      /** Whether it is a part of what is small enough to be fetched whole. */
      readonly isOfSmall?: boolean;
    }
  /** For the cache. */
  | NewOutcome
  /** Stored before; confirmed, or the best there is if `failure` says so. */
  | { readonly kind: 'entry'; readonly entry: CacheEntry; readonly fwdStatus?: number; readonly failure?: string };

interface NewOutcome {
  readonly kind: 'new';
  readonly head: EntryHead;
  /** All that came: for whom it was fetched. */
  readonly fields: RawFields;
  /** The whole, or what there is to follow. */
  readonly content: Buffer | Arriving;
}

export interface OriginAskerOptions {
  readonly store: CacheStore;
  readonly limits: Limits;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const errorStatuses = new Set([500, 502, 503, 504]);

export class OriginAsker {
  readonly #options: OriginAskerOptions;
  readonly #intake: AnswerStorer;

  constructor(options: OriginAskerOptions) {
    this.#options = options;
    this.#intake = new AnswerStorer(options);
  }

  /** Sends a request on. Rejects with what the exchange rejects with, if nothing stored may stand in for its answer. */
  async fetch(plan: Plan): Promise<Outcome> {
    const { entry, request } = plan;
    const ticket = this.#intake.open(plan.key);
    try {
      const requestedMs = this.#options.now();
      const fields = entry ? validationFields(request, entry.record.head.fields) : request.fields;
      const answer = await this.#try(plan, { ...request, fields });
      if (!('status' in answer)) return answer;
      if (entry && answer.status === 304) {
        void dropBody(answer.body);
        const confirmed = await this.#confirm(plan, entry, answer, requestedMs);
        // What the origin speaks of is not what we have: without conditions it must send it.
        return confirmed ?? (await this.fetch({ ...plan, entry: undefined, request: withoutConditions(plan) }));
      }
      if (entry && errorStatuses.has(answer.status) && this.#mayBeStale(plan, entry, 0)) {
        void dropBody(answer.body);
        return { kind: 'entry', entry, fwdStatus: answer.status, failure: 'stale-if-error' };
      }
      const outcome = this.#take(plan, answer, requestedMs, ticket);
      if (outcome.kind === 'own' && entry && answer.status < 500) await this.#options.store.remove(entry);
      return outcome;
    } finally {
      this.#intake.release(ticket);
    }
  }

  /** Removes all answers that are stored under a key, and stores none that has been asked for already. Resolves to how many were removed. */
  async invalidate(key: string): Promise<number> {
    this.#intake.outdate((fetched) => fetched === key);
    const entries = [...this.#options.store.variants(key)];
    for (const entry of entries) await this.#options.store.remove(entry);
    return entries.length;
  }

  /** Stores no answer under these keys that has been asked for already. */
  outdate(isMeant: (key: string) => boolean): void {
    this.#intake.outdate(isMeant);
  }

  /** Writes down what an answer without content says about an entry; one that may not be stored any more goes. */
  async freshen(plan: Plan, entry: CacheEntry, answer: HttpAnswer, requestedMs: number): Promise<void> {
    const { store, now } = this.#options;
    const { head } = entry.record;
    const fields = mergeFields(head.fields, answer.fields);
    const arrival = { ...arrivalOf(plan, answer, requestedMs, now()), status: head.status, fields };
    const verdict = judgeArrival(arrival, plan.rules);
    if (verdict.kind === 'skip') return store.remove(entry);
    const selection = selectBy(verdict.fields, plan.request.fields);
    const { arrivedMs } = arrival;
    await store.refresh(entry, { ...head, selection, fields: verdict.fields, terms: verdict.terms, arrivedMs });
  }

  /** Waits for what is being stored. */
  async settle(): Promise<void> {
    await this.#intake.settle();
  }

  async #try(plan: Plan, request: HttpRequest): Promise<HttpAnswer | Outcome> {
    try {
      return await plan.exchange(request);
    } catch (error) {
      const { entry } = plan;
      if (!entry || request.signal.aborted) throw error;
      if (!this.#mayBeStale(plan, entry, this.#options.limits.maxCacheStaleMs / 1000)) throw error;
      return { kind: 'entry', entry, failure: 'origin-unreachable' };
    }
  }

  async #confirm(plan: Plan, entry: CacheEntry, answer: HttpAnswer, requestedMs: number): Promise<Outcome | undefined> {
    if (!confirms(answer.fields, entry.record.head.fields)) {
      await this.#options.store.remove(entry);
      return undefined;
    }
    await this.freshen(plan, entry, answer, requestedMs);
    return { kind: 'entry', entry, fwdStatus: 304 };
  }

  #mayBeStale({ asked }: Plan, entry: CacheEntry, atLeastS: number): boolean {
    const { terms, arrivedMs } = entry.record.head;
    return allowsStaleOnError(terms, ageOf(terms, arrivedMs, this.#options.now()), asked, atLeastS);
  }

  #take(plan: Plan, answer: HttpAnswer, requestedMs: number, ticket: Ticket): Outcome {
    const came = arrivalOf(plan, answer, requestedMs, this.#options.now());
    // Whoever has a cache of its own goes on with a file by ranges, and needs no second copy of it.
    const part = plan.mayStore && plan.rules.shared ? partOf(answer.status, answer.fields) : undefined;
    // A part is judged as the whole that it is of.
    const arrival = part ? { ...came, status: 200, fields: wholeFields(answer.fields, part.total) } : came;
    const verdict = judgeArrival(arrival, plan.rules);
    if (verdict.kind === 'skip') return { kind: 'own', answer, reason: verdict.reason };
    const { reason, fields } = answer;
    // A file has no need of a second one.
    if (!plan.mayStore || isFile(answer.body)) return { kind: 'own', answer, reason: 'not-stored' };
    const isTooLarge = (part?.total ?? contentBytes(answer) ?? 0) > this.#options.limits.maxCacheEntryBytes;
    if (isTooLarge) return { kind: 'own', answer, reason: 'too-large' };
    const head: EntryHead = {
      key: plan.key,
      selection: selectBy(fields, plan.request.fields),
      status: arrival.status,
      reason: part ? 'OK' : reason,
      fields: verdict.fields,
      terms: verdict.terms,
      arrivedMs: arrival.arrivedMs,
    };
    if (part) {
      // Less than anyone may leave behind is quicker fetched whole.
      const isSmall = part.total <= this.#options.limits.maxCacheAbandonedBytes;
      const kept = isSmall ? answer : this.#intake.takePart(head, part, answer, ticket);
      return { kind: 'own', answer: kept, reason: 'part', isOfSmall: isSmall };
    }
    return { kind: 'new', head, fields, content: this.#intake.take(head, answer, ticket) };
  }
}

function arrivalOf(plan: Plan, answer: HttpAnswer, requestedMs: number, arrivedMs: number): Arrival {
  const { status, fields } = answer;
  return { method: plan.request.method, requestFields: plan.request.fields, requestedMs, status, fields, arrivedMs };
}

function withoutConditions({ request, entry }: Plan): HttpRequest {
  return entry ? { ...request, fields: validationFields(request, []) } : request;
}
