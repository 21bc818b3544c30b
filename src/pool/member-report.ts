/**
 * The members of a pool as plain values, for people and for counters.
 *
 * Invariant: says of each member whether an operator has named it, since what others name is of any number.
 */

import type { MemberLoad } from './member-checks.ts';
import type { MemberStatus } from './pool.ts';

export interface PoolReport {
  readonly name: string;
  /** Whether an operator has named it; others come to be when a server registers. */
  readonly isNamed: boolean;
  readonly members: readonly MemberReport[];
}

interface MemberReport {
  readonly name: string;
  readonly isNamed: boolean;
  readonly up: boolean;
  readonly ejected: boolean;
  readonly downSeconds: number;
  readonly inFlight: number;
  readonly requests: number;
  readonly failed: number;
  /** Why the last check or attempt that failed did so; it may be well since. */
  readonly trouble?: string | undefined;
  readonly load?: MemberLoad | undefined;
}

/** `named`: what an operator has called the members, or undefined for a pool that nobody has. */
export function reportPool(
  name: string,
  members: readonly MemberStatus[],
  named: ReadonlySet<string> | undefined,
): PoolReport {
  return {
    name,
    isNamed: named !== undefined,
    members: members.map(({ name: member, up, ejected, downMs, inFlight, requests, failed, trouble, load }) => ({
      name: member,
      isNamed: named?.has(member) ?? false,
      up,
      ejected,
      downSeconds: downMs / 1000,
      inFlight,
      requests,
      failed,
      trouble,
      load,
    })),
  };
}
