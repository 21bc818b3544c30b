/** The leg that each of a client's circuits begins with. */

import type { Clock } from '../../core/clock.ts';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { Signal } from '../../core/signal.ts';
import type { SetUserTimeout } from '../../io/kernel/libc.ts';
import type { Leg } from '../../io/legs/leg.ts';
import type { LegOptions } from '../../io/legs/leg-options.ts';
import { type Resolver, reachHop } from '../../io/names/resolve.ts';
import { type Hop, isPoolHop } from '../../wire/address.ts';
import { firstLegError } from './refusal-text.ts';

export interface FirstLegOptions extends Pick<LegOptions, 'openReader'> {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly signal: Signal;
  readonly resolve: Resolver;
  /** For every leg; undefined where it cannot be. */
  readonly setUserTimeout?: SetUserTimeout | undefined;
  /** Bytes in one read from a socket at most. @default a piece, since a client has few legs and what comes over them is large */
  readonly maxBlockBytes?: number;
}

/** Opens the leg to the first hop; it breaks as soon as the signal aborts with an error. Throws with hop 0 blamed. */
export async function reachFirstHop(hops: readonly Hop[], client: FirstLegOptions): Promise<Leg> {
  const [first] = hops;
  if (!first) throw new HoplineError('ROUTE_SYNTAX', 'the route has no hops');
  if (isPoolHop(first)) {
    throw firstLegError(new HoplineError('POOL_UNKNOWN', `the pool ${first.pool} is not known here`), hops);
  }
  const { clock, resolve, signal, limits, setUserTimeout, openReader } = client;
  const { connectMs, idleMs } = limits;
  const { maxBlockBytes = Math.max(limits.maxBlockBytes, limits.pieceBytes) } = client;
  try {
    const options = { clock, resolve, signal, connectMs, idleMs, maxBlockBytes, setUserTimeout, openReader };
    const leg = await reachHop(first, options);
    const stop = () => {
      if (signal.reason instanceof HoplineError) leg.destroy(signal.reason);
    };
    signal.addEventListener('abort', stop, { once: true });
    void leg.closed.then(() => signal.removeEventListener('abort', stop));
    if (signal.aborted) stop();
    return leg;
  } catch (error) {
    throw firstLegError(asHoplineError(error), hops);
  }
}
