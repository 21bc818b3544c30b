/**
 * A member of a pool, and the one interface through which members become known.
 *
 * Knows addresses. Does not know what is spoken there, or which members are well.
 * Documentation: docs/pools.md#members
 */

import { type Address, formatHop } from '../wire/address.ts';

export interface Member {
  readonly hop: Address;
  /** Its share of the requests against the others', for algorithms that weigh; a whole number from 1. */
  readonly weight: number;
  /** Lower goes first; higher ones are a reserve. */
  readonly priority: number;
}

/** Where members come from. Every implementation passes test/pool/source.contract.ts. */
export interface MemberSource {
  /** Whether its members say themselves that they are there: until a check has shown it, others go first. */
  readonly isHearsay?: boolean;
  /**
   * Reports all members, in their order, as soon as they are known and again when they change, until `signal` aborts.
   * Never throws and never rejects: a source that cannot tell reports nothing and tries again. Settles when nothing
   * of it is left.
   */
  watch(report: (members: readonly Member[]) => void, signal: AbortSignal): Promise<void>;
}

/** What two members with the same address have in common. */
export function nameMember(hop: Address): string {
  return formatHop(hop).toLowerCase();
}
