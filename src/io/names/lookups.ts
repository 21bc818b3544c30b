/**
 * Lookups of names on behalf of peers: shared, bounded, and over in time.
 *
 * Owns the shares that peers have of all lookups, and what failed a moment ago. Where names come from is a resolver that
 * is passed in.
 * A name server that is silent holds a lookup for as long as it may; so where a share is full, it is the oldest lookup
 * that goes and not the one that comes: what is answered at all is answered long before.
 * Invariant: of one name there is at most one lookup at a time; it is cancelled once nobody waits for it.
 */

import { type Clock, untilAborted, withDeadline } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import { BoundedMap } from '../../core/work/bounded-map.ts';
import { Budget, type GiveBack, limitNamed, ownerOf } from '../../core/work/budget.ts';
import type { Lookup, Resolver } from './resolve.ts';

/** Limits are asked for at each lookup: they may change. */
export interface LookupsOptions {
  readonly limits: Pick<Limits, 'maxLookups' | 'maxPeerLookups' | 'lookupMs' | 'lookupFailedMs'>;
  readonly clock: Clock;
}

interface Flight {
  readonly found: Promise<readonly string[]>;
  readonly cancel: AbortController;
  waiting: number;
}

interface Waiting {
  readonly owner: string;
  /** Gives its share back and ends the wait. */
  readonly evict: (error: unknown) => void;
}

export function shareLookups(resolve: Resolver, options: LookupsOptions): Resolver {
  const lookups = new Lookups(resolve, options);
  return (host, lookup = {}) => lookups.find(host.toLowerCase(), lookup);
}

class Lookups {
  readonly #resolve: Resolver;
  readonly #options: LookupsOptions;
  readonly #budget: Budget;
  /** In the order in which they began. */
  readonly #waiting = new Set<Waiting>();
  readonly #flights = new Map<string, Flight>();
  readonly #failures: BoundedMap<string, { readonly error: unknown; readonly until: number }>;

  constructor(resolve: Resolver, options: LookupsOptions) {
    this.#resolve = resolve;
    this.#options = options;
    const limits = () => options.limits;
    this.#budget = new Budget({
      code: 'LIMIT_LOOKUPS',
      what: 'lookups of names',
      perOwner: limitNamed('maxPeerLookups', limits),
      inAll: limitNamed('maxLookups', limits),
    });
    this.#failures = new BoundedMap({
      get maxCount() {
        return limits().maxLookups;
      },
    });
  }

  /** Throws what the resolver does, `PEER_UNRESOLVED`, `LIMIT_LOOKUPS`, or the signal's reason. */
  async find(name: string, { peer, signal }: Lookup): Promise<readonly string[]> {
    signal?.throwIfAborted();
    const failed = this.#failures.get(name);
    if (failed && this.#options.clock.now() < failed.until) throw failed.error;
    const stop = new AbortController();
    const abort = () => stop.abort(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    // What no peer has named is as many names as the operator or the user wrote.
    const leave = peer === undefined ? () => {} : this.#enter(ownerOf(peer), stop);
    const flight = this.#flights.get(name) ?? this.#begin(name, peer);
    flight.waiting += 1;
    try {
      return await untilAborted(flight.found, stop.signal);
    } finally {
      signal?.removeEventListener('abort', abort);
      leave();
      flight.waiting -= 1;
      if (flight.waiting === 0) flight.cancel.abort();
    }
  }

  #enter(owner: string, stop: AbortController): () => void {
    const giveBack = this.#takeShare(owner);
    const leave = () => {
      this.#waiting.delete(waiting);
      giveBack();
    };
    const evict = (error: unknown) => {
      leave();
      stop.abort(error);
    };
    const waiting: Waiting = { owner, evict };
    this.#waiting.add(waiting);
    return leave;
  }

  #takeShare(owner: string): GiveBack {
    for (;;) {
      try {
        return this.#budget.take(owner);
      } catch (error) {
        const oldest = this.#oldest(owner);
        if (!oldest) throw error;
        oldest.evict(error);
      }
    }
  }

  /** The one that has to go for another lookup of `owner`. */
  #oldest(owner: string): Waiting | undefined {
    const isFull = this.#budget.heldBy(owner) >= this.#options.limits.maxPeerLookups;
    return [...this.#waiting].find((waiting) => !isFull || waiting.owner === owner);
  }

  #begin(name: string, peer: string | undefined): Flight {
    const cancel = new AbortController();
    const found = this.#lookUp(name, peer, cancel.signal).finally(() => {
      if (this.#flights.get(name) === flight) this.#flights.delete(name);
    });
    const flight: Flight = { found, cancel, waiting: 0 };
    this.#flights.set(name, flight);
    cancel.signal.addEventListener('abort', () => {
      if (this.#flights.get(name) === flight) this.#flights.delete(name);
    });
    return flight;
  }

  async #lookUp(name: string, peer: string | undefined, cancelled: AbortSignal): Promise<readonly string[]> {
    const { clock, limits } = this.#options;
    const { lookupMs } = limits;
    const late = () =>
      new HoplineError('PEER_UNRESOLVED', `the name ${name} does not resolve (no answer in ${lookupMs / 1000} s)`, {
        reason: 'ETIMEOUT',
      });
    return withDeadline({ clock, ms: lookupMs, late, outer: cancelled }, (due) =>
      untilAborted(this.#resolve(name, { peer, signal: due }), due),
    ).catch((error) => {
      if (!cancelled.aborted) this.#remember(name, error);
      throw error;
    });
  }

  #remember(name: string, error: unknown): void {
    const { clock, limits } = this.#options;
    this.#failures.set(name, { error, until: clock.now() + limits.lookupFailedMs });
  }
}
