/**
 * What a node is told of a pool, and what it takes for granted where it is not told.
 *
 * Knows nothing of members' states. Invariant: of several pools that pass, no two have one name.
 * Documentation: docs/pools.md
 */

import { HoplineError } from '../../core/errors.ts';
import type { Algorithm } from '../../pool/balance.ts';
import type { HealthRule } from '../../pool/health.ts';
import type { PoolMembers } from '../../pool/sources/sources.ts';

/** `node`: a PING must be answered; `packet`: takes a probe of the packet dialect; `connect`: can be connected to. */
export const poolChecks = ['node', 'packet', 'connect'] as const;
export type PoolCheck = (typeof poolChecks)[number];

export interface PoolOptions extends PoolMembers {
  /** @default 'round-robin' */
  readonly algorithm?: Algorithm | undefined;
  /** What consistent hashing goes by in routes: the name of the file, or the address that asks. @default 'file' */
  readonly hashBy?: 'file' | 'client' | undefined;
  readonly health?: Partial<HealthRule> | undefined;
  /** What members must pass. @default 'node' */
  readonly check?: PoolCheck | undefined;
}

/** Throws `USAGE_INVALID` for two pools of one name. */
export function checkPools(configured: readonly PoolOptions[]): void {
  const names = new Set<string>();
  for (const { name } of configured) {
    if (names.has(name))
      throw new HoplineError('USAGE_INVALID', `the pool ${JSON.stringify(name)} is configured twice`);
    names.add(name);
  }
}

/** Where the rule differs from that of other pools. */
export function defaultHealth(check: PoolCheck): Partial<HealthRule> {
  // A server of messages has nothing to warm up, and turns are exact.
  return check === 'packet' ? { slowStartMs: 0 } : {};
}

/** A pool that comes to be when a server registers. */
export function unconfigured(name: string): PoolOptions {
  return { name, check: 'packet' };
}
