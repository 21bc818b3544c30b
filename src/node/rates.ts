/**
 * The rate limits of a node's circuits: each circuit has its own, under that of its key, under that of all circuits
 * together.
 *
 * The two directions of a circuit have limits of their own: a node that takes requests and sends content has the whole
 * rate for the content.
 */

import type { Clock } from '../core/clock.ts';
import { checkRate, RateLimit, type Rates } from '../io/rates/rate.ts';

export interface RateOptions {
  /** Bytes a second, at least 1,024, that each circuit may carry, each way. @default as many as come */
  readonly limitRate?: number | undefined;
  /** Bytes a second, at least 1,024, that all circuits together may carry, each way. @default as many as come */
  readonly limitRateTotal?: number | undefined;
}

/** Throws `USAGE_INVALID` for a rate that is not one. */
export function checkRates({ limitRate, limitRateTotal }: RateOptions): void {
  for (const rate of [limitRate, limitRateTotal]) if (rate !== undefined) checkRate(rate);
}

/** The limits of circuits to come, under the same total. */
export class NodeRates {
  readonly #options: RateOptions;
  readonly #clock: Clock;
  readonly #total: Rates;
  readonly #owned = new WeakMap<object, { readonly bytesPerSecond: number; readonly rates: Rates }>();

  /** Throws `USAGE_INVALID`. */
  constructor(options: RateOptions, clock: Clock) {
    const { limitRateTotal } = options;
    const limitTotal = () => (limitRateTotal === undefined ? undefined : new RateLimit(limitRateTotal, clock));
    this.#options = options;
    this.#clock = clock;
    this.#total = { forward: limitTotal(), back: limitTotal() };
  }

  /** Those of a new circuit, which may carry `atMost` bytes a second; undefined where nothing is limited. */
  open(atMost = Number.POSITIVE_INFINITY): Rates | undefined {
    const { limitRate = Number.POSITIVE_INFINITY, limitRateTotal } = this.#options;
    const own = Math.min(limitRate, atMost);
    if (own === Number.POSITIVE_INFINITY) return limitRateTotal === undefined ? undefined : this.#total;
    return this.#under(own);
  }

  /** Those of all circuits together that have the same `owner`. */
  of(owner: object, bytesPerSecond: number): Rates {
    const known = this.#owned.get(owner);
    if (known?.bytesPerSecond === bytesPerSecond) return known.rates;
    const rates = this.#under(bytesPerSecond);
    this.#owned.set(owner, { bytesPerSecond, rates });
    return rates;
  }

  #under(bytesPerSecond: number): Rates {
    const { forward, back } = this.#total;
    return {
      forward: new RateLimit(bytesPerSecond, this.#clock, forward),
      back: new RateLimit(bytesPerSecond, this.#clock, back),
    };
  }
}
