/**
 * The limits of a node's circuits: each has its own, under those of all together.
 *
 * A direction knows nothing of the other: a node that only takes requests and
 * sends content uses all of its rate for the content.
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

/** What makes the limits of a new circuit; it gives undefined where nothing is limited. Throws `USAGE_INVALID`. */
export function createRates({ limitRate, limitRateTotal }: RateOptions, clock: Clock): () => Rates | undefined {
  const limitTotal = () => (limitRateTotal === undefined ? undefined : new RateLimit(limitRateTotal, clock));
  const total = { forward: limitTotal(), back: limitTotal() };
  if (limitRate === undefined) return () => (limitRateTotal === undefined ? undefined : total);
  return () => ({
    forward: new RateLimit(limitRate, clock, total.forward),
    back: new RateLimit(limitRate, clock, total.back),
  });
}
