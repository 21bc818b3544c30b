/**
 * Which member of a pool is next: those that are second to none, and of them the one that the algorithm picks.
 *
 * Changes nothing but what members in their slow start have saved up.
 * Documentation: docs/pools.md#health
 */

import type { Balancer, Candidate } from './balance.ts';
import type { Member } from './member.ts';
import type { Checked } from './member-checks.ts';

/** A member with what is known of it. */
export interface Slot extends Candidate, Checked {
  readonly name: string;
  member: Member;
  weight: number;
  inFlight: number;
  isProven: boolean;
  /** Attempts that began here, and those that failed. */
  requests: number;
  failed: number;
  /** Parts of a turn that it has saved up during its slow start. */
  credit: number;
}

export interface Wishes {
  /** For consistent hashing. */
  readonly key?: string | undefined;
  /** The name of a member that comes first if it is well. */
  readonly prefer?: string | undefined;
  /** Names of members that are picked only if there is no other. */
  readonly avoid?: readonly string[] | undefined;
}

export interface Turn {
  readonly now: number;
  readonly balance: Balancer;
}

/** Undefined if all that are up have been tried. */
export function pickSlot(
  slots: ReadonlyMap<string, Slot>,
  tried: readonly Slot[],
  { key, prefer, avoid }: Wishes,
  { now, balance }: Turn,
): Slot | undefined {
  const preferred = prefer === undefined ? undefined : slots.get(prefer);
  if (preferred && isFit(preferred, tried) && !preferred.health.isEjected(now)) return preferred;
  let candidates: readonly Slot[] = best(slots, tried, avoid, now);
  while (isSome(candidates)) {
    const slot = balance(candidates, key);
    if (candidates.length === 1 || takesTurn(slot, now)) return slot;
    candidates = candidates.filter((candidate) => candidate !== slot);
  }
  return undefined;
}

function isFit(slot: Slot, tried: readonly Slot[]): boolean {
  return slot.health.downSince === undefined && !tried.includes(slot);
}

/** Those that are second to none: not to be avoided, neither ejected nor unproven, and of the lowest priority, in this order. */
function best(
  slots: ReadonlyMap<string, Slot>,
  tried: readonly Slot[],
  avoid: readonly string[] | undefined,
  now: number,
): readonly Slot[] {
  let found: Slot[] = [];
  let least = 0;
  for (const slot of slots.values()) {
    if (!isFit(slot, tried)) continue;
    const demerits = (avoid?.includes(slot.name) ? 2 : 0) + (isDoubtful(slot, now) ? 1 : 0);
    const first = found[0];
    const order = first ? demerits - least || slot.member.priority - first.member.priority : -1;
    if (order > 0) continue;
    if (order < 0) found = [];
    found.push(slot);
    least = demerits;
  }
  return found;
}

function isSome(slots: readonly Slot[]): slots is readonly [Slot, ...Slot[]] {
  return slots.length > 0;
}

/** Better than none: it only failed requests, or only its own word is known of it. */
function isDoubtful({ health, isProven }: Slot, now: number): boolean {
  return health.isEjected(now) || !isProven;
}

/** During its slow start a member lets turns pass, so that it has its share of them. */
function takesTurn(slot: Slot, now: number): boolean {
  slot.credit += slot.health.share(now);
  if (slot.credit < 1) return false;
  slot.credit = Math.min(1, slot.credit - 1);
  return true;
}
