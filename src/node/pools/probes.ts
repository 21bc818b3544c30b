/**
 * The ways to check a member of a pool, by their names in the configuration.
 *
 * Does not know how often a member is checked, or what follows from a check. The signal that it is given ends a check in
 * time.
 * Documentation: docs/pools.md#health
 */

import type { Clock } from '../../core/clock.ts';
import type { Limits } from '../../core/limits.ts';
import type { SetUserTimeout } from '../../io/kernel/libc.ts';
import { type ReachOptions, type Resolver, reachHop } from '../../io/names/resolve.ts';
import type { Probe } from '../../pool/member-checks.ts';
import type { Address } from '../../wire/address.ts';
import type { NextAccess } from '../access/access-rules.ts';
import { pingNode } from './ping.ts';
import type { PoolCheck } from './pool-options.ts';

export interface ProbesOptions {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly resolve: Resolver;
  readonly setUserTimeout: SetUserTimeout | undefined;
  /** Where legs may be opened to: nobody is dialled for a check that may not be dialled for a circuit. */
  readonly next: NextAccess;
}

/** Limits and rules are asked for at each check: they may change. */
export function createProbes(options: ProbesOptions): Readonly<Record<PoolCheck, Probe>> {
  const reach = (signal: AbortSignal) => {
    const { limits, clock, resolve, setUserTimeout } = options;
    const { answerMs: connectMs, idleMs, maxBlockBytes } = limits;
    return { clock, resolve, setUserTimeout, connectMs, idleMs, maxBlockBytes, signal };
  };
  const rules = (hop: Address) => ({
    checkName: () => options.next.mayLookUp(hop),
    check: (address: string) => options.next.mayDial(hop, address),
  });
  const connect = async (hop: Address, how: ReachOptions) => {
    const leg = await reachHop(hop, how);
    leg.destroy();
    await leg.closed;
  };
  return {
    connect: ({ hop }, signal) => connect(hop, { ...reach(signal), ...rules(hop) }),
    // An original server that gets a packet without a message ends its only thread, and never answers anybody again.
    // Servers of messages are let in by who may register, and need no rule.
    packet: ({ hop }, signal) => connect(hop, reach(signal)),
    node: async ({ hop }, signal, tell) => {
      const { maxHeaderBytes } = options.limits;
      const { load } = await pingNode(hop, { ...reach(signal), ...rules(hop), maxHeaderBytes });
      if (load) tell(load);
    },
  };
}
