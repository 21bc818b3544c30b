/**
 * Places at the servers of the sites: each request that is sent on holds one until its answer is over.
 *
 * Owns who gets a place, and who waits for one. What a place costs, a connection for most, it does not know.
 * Invariant: at most `maxHttpSiteRequests` hold one at a site and `maxHttpServerRequests` in all, of one peer at most its share;
 * requests whose answers have to wait for others on their connections take no more than the first half. Nobody waits longer than
 * `httpPlaceMs`, or whose client has left.
 */

import type { Clock } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import { type Limits, peerShare } from '../../core/limits.ts';
import { Budget, type GiveBack, ownerOf } from '../../core/work/budget.ts';
import type { HttpRequest } from '../../http/exchange.ts';

type PlaceLimits = Pick<Limits, 'maxHttpSiteRequests' | 'maxHttpServerRequests' | 'httpPlaceMs' | 'maxPeerPercent'>;

/** Takes a place for a request. Throws `LIMIT_REQUESTS`, or the signal's reason. */
export type TakePlace = (request: Pick<HttpRequest, 'client' | 'signal' | 'isAhead'>) => GiveBack | Promise<GiveBack>;

interface Claim {
  readonly site: Budget;
  readonly owner: string;
  readonly isAhead: () => boolean;
}

interface Waiting extends Claim {
  readonly begin: (giveBack: GiveBack) => void;
}

export class ServerPlaces {
  readonly #limits: PlaceLimits;
  readonly #clock: Clock;
  readonly #inAll: Budget;
  /** Whoever has waited longest comes first. */
  readonly #waiting = new Set<Waiting>();

  constructor(limits: PlaceLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#inAll = this.#budget('maxHttpServerRequests', 'requests at servers');
  }

  /** The places of one site more. */
  addSite(): TakePlace {
    const site = this.#budget('maxHttpSiteRequests', 'requests at the servers of a site');
    return ({ client, signal, isAhead = () => false }) => {
      const claim = { site, owner: ownerOf(client), isAhead };
      return this.#take(claim) ?? this.#wait(claim, signal);
    };
  }

  #budget(name: 'maxHttpServerRequests' | 'maxHttpSiteRequests', what: string): Budget {
    const most = this.#limits[name];
    const perOwner = { most: peerShare(most, this.#limits), name: 'maxPeerPercent' };
    return new Budget({ code: 'LIMIT_REQUESTS', what, perOwner, inAll: { most, name } });
  }

  #take({ site, owner, isAhead }: Claim): GiveBack | undefined {
    const { maxHttpSiteRequests, maxHttpServerRequests } = this.#limits;
    const isHalf = 2 * site.total >= maxHttpSiteRequests || 2 * this.#inAll.total >= maxHttpServerRequests;
    if ((isHalf && isAhead()) || !site.has(owner) || !this.#inAll.has(owner)) return undefined;
    const shares = [site.take(owner), this.#inAll.take(owner)];
    return () => {
      for (const giveBack of shares) giveBack();
      this.#goOn();
    };
  }

  #wait(claim: Claim, signal: HttpRequest['signal']): Promise<GiveBack> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(waiting);
        signal.removeEventListener('abort', abort);
        cancel();
      };
      const giveUp = (reason: unknown) => {
        leave();
        reject(reason);
      };
      const abort = () => giveUp(signal.reason);
      const waiting: Waiting = {
        ...claim,
        begin: (giveBack) => {
          leave();
          resolve(giveBack);
        },
      };
      const limits = this.#limits;
      const cancel = this.#clock.after(limits.httpPlaceMs, () => giveUp(noPlace(claim, limits)));
      if (signal.aborted) return abort();
      signal.addEventListener('abort', abort, { once: true });
      this.#waiting.add(waiting);
    });
  }

  #goOn(): void {
    for (const waiting of this.#waiting) {
      const giveBack = this.#take(waiting);
      if (giveBack) waiting.begin(giveBack);
    }
  }
}

function noPlace({ site, owner }: Claim, { httpPlaceMs }: PlaceLimits): HoplineError {
  const reason = site.has(owner) ? 'maxHttpServerRequests' : 'maxHttpSiteRequests';
  const message = `no place at the servers within ${httpPlaceMs / 1000} s (${reason}, or a peer's share of it)`;
  return new HoplineError('LIMIT_REQUESTS', message, { reason });
}
