/**
 * Names to addresses, and an address that may be dialled to a leg.
 *
 * Owns the rule that what was checked is what is dialled: a name is looked up
 * once, the caller sees the addresses before a socket exists, and no second
 * lookup follows. Knows nothing about which addresses are allowed.
 */

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { type Clock, startDeadline, untilAborted } from '../core/clock.ts';
import { asHoplineError, HoplineError, systemCode } from '../core/errors.ts';
import type { Address } from '../wire/address.ts';
import { formatHop } from '../wire/address.ts';
import { Leg, type LegOptions } from './leg.ts';

/** Resolves a host to its addresses, in the order to try them. */
export type Resolver = (host: string) => Promise<readonly string[]>;

export const systemResolver: Resolver = async (host) => {
  if (isIP(host)) return [host];
  const found = await lookup(host, { all: true, verbatim: true });
  return found.map((entry) => entry.address);
};

export interface ReachOptions extends LegOptions {
  readonly clock: Clock;
  readonly resolve: Resolver;
  /** Milliseconds for the lookup and all attempts together. */
  readonly connectMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Throws for an address that must not be dialled; the error is thrown on if no address is left. */
  readonly check?: ((address: string) => void) | undefined;
}

/**
 * Opens a leg to `hop`: the first of its addresses that is allowed and answers.
 * Throws `PEER_UNRESOLVED`, `PEER_UNREACHABLE`, `TIMEOUT_CONNECT`, or what `check` threw.
 */
export async function reachHop(hop: Address, options: ReachOptions): Promise<Leg> {
  const late = () =>
    new HoplineError('TIMEOUT_CONNECT', `no connection to ${formatHop(hop)} within ${options.connectMs / 1000} s`);
  const deadline = startDeadline(options.clock, options.connectMs, late, options.signal);
  try {
    const addresses = await resolveHop(hop, options.resolve, deadline.signal);
    let refused: unknown;
    for (const address of addresses) {
      try {
        options.check?.(address);
        const { idleMs, maxBlockBytes, setUserTimeout } = options;
        const { signal } = deadline;
        return await Leg.dial(address, hop.port, { idleMs, maxBlockBytes, setUserTimeout, signal });
      } catch (error) {
        deadline.signal.throwIfAborted();
        refused ??= error;
      }
    }
    throw asHoplineError(refused);
  } finally {
    deadline.clear();
  }
}

async function resolveHop(hop: Address, resolve: Resolver, signal: AbortSignal): Promise<readonly string[]> {
  try {
    const addresses = await untilAborted(resolve(hop.host), signal);
    if (addresses.length > 0) return addresses;
  } catch (cause) {
    signal.throwIfAborted();
    const reason = systemCode(cause);
    throw new HoplineError('PEER_UNRESOLVED', `the name ${hop.host} does not resolve (${reason ?? 'lookup failed'})`, {
      cause,
      ...(reason === undefined ? {} : { reason }),
    });
  }
  throw new HoplineError('PEER_UNRESOLVED', `the name ${hop.host} has no address`);
}
