/**
 * Names to addresses, and an address that may be dialled to a connection.
 *
 * Owns the rule that what was checked is what is dialled: a name is looked up
 * once, the caller sees the addresses before a socket exists, and no second
 * lookup follows. Knows nothing about which addresses are allowed.
 */

import { isIP, type LookupFunction } from 'node:net';
import { type Clock, untilAborted, withDeadline } from '../../core/clock.ts';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import type { Signal } from '../../core/signal.ts';
import { inWords, systemCode } from '../../core/system-errors.ts';
import type { Address } from '../../wire/address.ts';
import { formatHop } from '../../wire/address.ts';
import type { Leg } from '../legs/leg.ts';
import type { LegOptions } from '../legs/leg-options.ts';
import { dialLeg } from '../legs/open-leg.ts';
import { connectFirst } from './race.ts';

/** Resolves a name to its addresses, in the order to try them. */
export type Resolver = (host: string, lookup?: Lookup) => Promise<readonly string[]>;

/** On whose behalf a name is looked up. */
export interface Lookup {
  /** The address of the peer whose share it counts for; undefined for what the operator or the user wrote. */
  readonly peer?: string | undefined;
  /** Nobody waits any more. */
  readonly signal?: Signal | undefined;
}

export interface WayOptions {
  readonly clock: Clock;
  readonly resolve: Resolver;
  /** Milliseconds for the lookup and all attempts together. */
  readonly connectMs: number;
  readonly signal?: Signal | undefined;
  /** The address of the peer on whose behalf it is. */
  readonly peer?: string | undefined;
  /** Throws for a hop whose name must not be looked up. */
  readonly checkName?: (() => void) | undefined;
  /** Throws for an address that must not be dialled; the error is thrown on if no address is left. */
  readonly check?: ((address: string) => void) | undefined;
}

export interface ReachOptions extends WayOptions, LegOptions {}

/**
 * Opens a leg to `hop`: of its addresses that are allowed, to the one that answers first.
 * Throws `PEER_UNRESOLVED`, `PEER_UNREACHABLE`, `TIMEOUT_CONNECT`, `LIMIT_LOOKUPS`, or what a check threw.
 */
export function reachHop(hop: Address, options: ReachOptions): Promise<Leg> {
  const { idleMs, maxBlockBytes, setUserTimeout, openReader } = options;
  const dial = (address: string, signal: Signal) =>
    dialLeg(address, hop.port, { idleMs, maxBlockBytes, setUserTimeout, openReader, signal });
  return reach(hop, dial, options);
}

/** The same with another kind of connection, which `dial` opens; its signal means nothing any more once that is open. */
export async function reach<Connection extends { destroy(): unknown }>(
  hop: Address,
  dial: (address: string, signal: Signal) => Promise<Connection>,
  { clock, resolve, connectMs, peer, checkName, check, signal }: WayOptions,
): Promise<Connection> {
  const late = () =>
    new HoplineError('TIMEOUT_CONNECT', `no connection to ${formatHop(hop)} within ${connectMs / 1000} s`);
  return withDeadline({ clock, ms: connectMs, late, outer: signal }, async (due) => {
    if (isIP(hop.host) === 0) checkName?.();
    const addresses = await resolveHop(hop, resolve, { peer, signal: due });
    return connectFirst(addresses, { clock, check, connect: dial, signal: due });
  }).catch((error) => {
    signal?.throwIfAborted();
    throw asHoplineError(error);
  });
}

/** For sockets that others open, and which would look a name up by themselves. */
export function asLookup(resolve: Resolver): LookupFunction {
  return (host, { all }, done) => {
    resolve(host).then(
      (addresses) => {
        const found = addresses.map((address) => ({ address, family: isIP(address) }));
        const [first] = found;
        if (!first) done(new Error(`the name ${host} has no address`), '');
        else if (all) done(null, found);
        else done(null, first.address, first.family);
      },
      (error) => done(error, ''),
    );
  };
}

async function resolveHop(
  { host }: Address,
  resolve: Resolver,
  lookup: { readonly peer: string | undefined; readonly signal: Signal },
): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host];
  try {
    const addresses = await untilAborted(resolve(host, lookup), lookup.signal);
    if (addresses.length > 0) return addresses;
  } catch (cause) {
    lookup.signal.throwIfAborted();
    if (cause instanceof HoplineError) throw cause;
    const reason = systemCode(cause);
    throw new HoplineError(
      'PEER_UNRESOLVED',
      `the name ${host} does not resolve: ${inWords(reason ?? 'the lookup failed')}`,
      {
        cause,
        ...(reason === undefined ? {} : { reason }),
      },
    );
  }
  throw new HoplineError('PEER_UNRESOLVED', `the name ${host} has no address`);
}
