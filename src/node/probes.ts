/**
 * The ways to check a member of a pool, by their names in the configuration.
 *
 * How often, and what follows, is the affair of pool/checks.ts, whose signal also ends a check in time.
 * Documentation: docs/pools.md#health
 */

import type { Clock } from '../core/clock.ts';
import type { Limits } from '../core/limits.ts';
import type { SetUserTimeout } from '../io/kernel/libc.ts';
import { pingNode } from '../io/ping.ts';
import { type Resolver, reachHop } from '../io/resolve.ts';
import type { Probe } from '../pool/checks.ts';
import type { PoolCheck } from './pools.ts';

export interface ProbesOptions {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly resolve: Resolver;
  readonly setUserTimeout: SetUserTimeout | undefined;
}

/** Limits are asked for at each check: they may change. */
export function createProbes(options: ProbesOptions): Readonly<Record<PoolCheck, Probe>> {
  const reach = (signal: AbortSignal) => {
    const { limits, clock, resolve, setUserTimeout } = options;
    const { answerMs: connectMs, idleMs, maxBlockBytes } = limits;
    return { clock, resolve, setUserTimeout, connectMs, idleMs, maxBlockBytes, signal };
  };
  const connect: Probe = async ({ hop }, signal) => {
    const leg = await reachHop(hop, reach(signal));
    leg.destroy();
    await leg.closed;
  };
  return {
    connect,
    // An original server that gets a packet without a message ends its only thread, and never answers anybody again.
    packet: connect,
    node: async ({ hop }, signal, tell) => {
      const { load } = await pingNode(hop, { ...reach(signal), maxHeaderBytes: options.limits.maxHeaderBytes });
      if (load) tell(load);
    },
  };
}
