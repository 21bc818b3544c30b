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
  /** Whether a server takes packets. */
  readonly packet: Probe;
}

export function createProbes(options: ProbesOptions): Readonly<Record<PoolCheck, Probe>> {
  const { limits, clock, resolve, setUserTimeout, packet } = options;
  const { answerMs: connectMs, idleMs, maxBlockBytes, maxHeaderBytes } = limits;
  const reach = { clock, resolve, setUserTimeout, connectMs, idleMs, maxBlockBytes };
  return {
    packet,
    node: async ({ hop }, signal) => {
      await pingNode(hop, { ...reach, maxHeaderBytes, signal });
    },
    connect: async ({ hop }, signal) => {
      const leg = await reachHop(hop, { ...reach, signal });
      leg.destroy();
      await leg.closed;
    },
  };
}
