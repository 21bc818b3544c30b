/**
 * The members of a named pool as they are configured, and the sources that follow from that.
 *
 * Shared by nodes and gateways, which keep a pool, and clients, which only need to know who is in it.
 * Documentation: docs/pools.md#members
 */

import type { Address } from '../../wire/address.ts';
import type { Member, MemberSource } from '../member.ts';
import { ListedMembers } from './listed.ts';
import { type Query, type ResolvedOptions, resolvedMembers } from './resolved.ts';

export interface PoolMembers {
  /** What routes and packets call it; in routes, 1 to 64 of A-Z a-z 0-9 _ . - */
  readonly name: string;
  /** Weight is a whole number from 1, the share among members; members of a lower priority go first. @default 1 and 0 */
  readonly members?: readonly (Address & { readonly weight?: number; readonly priority?: number })[] | undefined;
  /** Names and services whose addresses are members. */
  readonly dns?: readonly Query[] | undefined;
}

/** With `listed`, that is what the members that are written down are read from. */
export function memberSources(
  { members = [], dns = [] }: Omit<PoolMembers, 'name'>,
  options: ResolvedOptions,
  listed = new ListedMembers(toMembers(members)),
): MemberSource[] {
  return [listed, ...dns.map((query) => resolvedMembers(query, options))];
}

/** Members as they are written, with what was left out. */
export function toMembers(members: NonNullable<PoolMembers['members']>): Member[] {
  return members.map(({ host, port, weight = 1, priority = 0 }) => ({ hop: { host, port }, weight, priority }));
}
