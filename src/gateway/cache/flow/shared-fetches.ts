/**
 * Requests that wait for one answer together, which is fetched once (collapsed forwarding).
 *
 * A fetch goes on when the request that began it is given up, and stops when the last of those that wait for it is. A key whose
 * answer turned out to be for one request alone is remembered for a while, and requests for it do not wait for each other.
 * Invariant: no request waits for a second fetch that another one began.
 */

import { HoplineError } from '../../../core/errors.ts';
import type { Limits } from '../../../core/limits.ts';
import type { Signal } from '../../../core/signal.ts';
import { BoundedMap } from '../../../core/work/bounded-map.ts';
import { dropBody, type HttpRequest } from '../../../http/exchange.ts';
import type { Filling } from './arriving-content.ts';
import type { OriginAsker, Outcome, Plan } from './ask-origin.ts';

interface Flight {
  /** Of what is fetched. */
  readonly key: string;
  readonly outcome: Promise<Outcome>;
  readonly controller: AbortController;
  /** How many wait for the head. */
  waiting: number;
  hasHead: boolean;
  /** Set with the head, if the answer is being stored. */
  filling?: Filling;
}

export class Flights {
  readonly #fetcher: OriginAsker;
  readonly #limits: Limits;
  readonly #now: () => number;
  readonly #flights = new Map<string, Flight>();
  /** Until when what is found by a key is not waited for together. */
  readonly #unshared: BoundedMap<string, number>;

  constructor(fetcher: OriginAsker, limits: Limits, now: () => number) {
    this.#fetcher = fetcher;
    this.#limits = limits;
    this.#now = now;
    this.#unshared = new BoundedMap({ maxCount: limits.maxCacheUnshared });
  }

  /** Waits for the answer that others wait for, or fetches it. Rejects as the exchange does, or with the request's signal. */
  async join(plan: Plan, key: string): Promise<{ readonly outcome: Outcome; readonly isFirst: boolean }> {
    if (!this.isShared(key)) return { outcome: await this.#fetcher.fetch(plan), isFirst: true };
    const known = this.#flights.get(key);
    const flight = known ?? this.#start(plan, key);
    try {
      const outcome = await wait(flight, plan.request.signal);
      return { outcome, isFirst: known === undefined };
    } catch (error) {
      if (!known) flight.outcome.then((outcome) => release(flight, outcome)).catch(() => {});
      throw error;
    }
  }

  /** What is just being written down by this key: whoever waits for it finds it stored. */
  completing(key: string): Promise<void> | undefined {
    const filling = this.#flights.get(key)?.filling;
    return filling?.isComplete ? filling.settled : undefined;
  }

  /** Whether what is found by a key may be for all who ask. */
  isShared(key: string): boolean {
    return (this.#unshared.get(key) ?? 0) <= this.#now();
  }

  has(key: string): boolean {
    return this.#flights.has(key);
  }

  /** Lets nobody else join what is on its way to a key of the store. */
  forget(isMeant: (key: string) => boolean): void {
    for (const [key, flight] of this.#flights) if (isMeant(flight.key)) this.#flights.delete(key);
  }

  /** Fetches anew what has just been answered from the cache; nobody waits for it. */
  refresh(plan: Plan, key: string): void {
    if (this.#flights.has(key)) return;
    const { scheme, authority, target, method, fields, client } = plan.request;
    const signal = new AbortController().signal;
    const request = {
      scheme,
      authority,
      target,
      method: method === 'HEAD' ? 'GET' : method,
      fields,
      client,
      signal,
      body: undefined,
      notes: {},
    };
    const flight = this.#start({ ...plan, request }, key);
    flight.outcome.then(dropOwn).catch(() => {});
  }

  /** What was fetched by this key is for one request alone. */
  doNotShare(key: string): void {
    this.#unshared.set(key, this.#now() + this.#limits.cacheUnsharedMs);
  }

  stop(): void {
    const reason = new HoplineError('NODE_STOPPING', 'the cache is being closed');
    for (const { controller } of this.#flights.values()) controller.abort(reason);
  }

  #start(plan: Plan, key: string): Flight {
    const controller = new AbortController();
    const request: HttpRequest = { ...plan.request, signal: controller.signal };
    const outcome = this.#fetcher.fetch({ ...plan, request });
    const flight: Flight = { key: plan.key, outcome, controller, waiting: 0, hasHead: false };
    this.#flights.set(key, flight);
    const end = () => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    };
    outcome.then((known) => {
      flight.hasHead = true;
      if (known.kind !== 'new' || Buffer.isBuffer(known.content)) return end();
      flight.filling = known.content.filling;
      void flight.filling.settled.then(end);
    }, end);
    return flight;
  }
}

async function wait(flight: Flight, signal: Signal): Promise<Outcome> {
  if (signal.aborted) throw signal.reason;
  flight.waiting += 1;
  let leave = () => {};
  const left = new Promise<never>((_, reject) => {
    leave = () => {
      reject(signal.reason);
      // Alone with it, and nothing has come: there is nobody to fetch it for.
      if (flight.waiting === 1 && !flight.hasHead) flight.controller.abort(signal.reason);
    };
  });
  signal.addEventListener('abort', leave, { once: true });
  try {
    return await Promise.race([flight.outcome, left]);
  } finally {
    flight.waiting -= 1;
    signal.removeEventListener('abort', leave);
  }
}

/** What came for somebody who has left: only they would have taken an answer for one. */
function release({ waiting }: Flight, outcome: Outcome): void {
  void dropOwn(outcome);
  if (outcome.kind === 'new' && waiting === 0 && !Buffer.isBuffer(outcome.content))
    outcome.content.filling.follow().destroy();
}

async function dropOwn(outcome: Outcome): Promise<void> {
  if (outcome.kind === 'own') await dropBody(outcome.answer.body);
}
