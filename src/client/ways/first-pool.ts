/**
 * The client's own pools: a pool at the first place of a route becomes its members, each an alternate.
 *
 * From there on they are like any alternates, so that one that fails is replaced
 * by another. A pool at a later place is entered by the node before it.
 * Documentation: docs/pools.md#in-routes
 */

import { withDeadline } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import { silentLogger } from '../../core/log.ts';
import { type Signal, toAbortSignal } from '../../core/signal.ts';
import type { Member, MemberSource } from '../../pool/member.ts';
import { systemNameServers } from '../../pool/sources/resolved.ts';
import { memberSources, type PoolMembers } from '../../pool/sources/sources.ts';
import { type Hop, isPoolHop, nodeName } from '../../wire/address.ts';
import { keysOf } from '../../wire/keyed-hop.ts';
import type { Place, RoutePlan } from '../../wire/route.ts';
import type { ClientContext } from '../circuit/circuit.ts';
import { checkEnds } from './keyed-ways.ts';

/**
 * The routes with the members of `pools` at their first places: lower priorities first, then by chance in proportion to
 * weights, so that many clients are spread. A pool that is not among `pools` stays what it is. Throws as `checkEnds`.
 */
export async function enterPools(
  routes: RoutePlan['routes'],
  pools: readonly PoolMembers[] = [],
  client: ClientContext,
): Promise<RoutePlan['routes']> {
  checkEnds(routes);
  const entered = new Map<string, readonly Member[]>();
  for (const pool of pools) {
    const isFirst = routes.some(([first]) => first?.some((hop) => isPoolHop(hop) && hop.pool === pool.name));
    if (isFirst) entered.set(pool.name, shuffled(await membersOf(pool, client)));
  }
  if (entered.size === 0) return routes;
  const enter = (hop: Hop): readonly Hop[] => {
    const members = isPoolHop(hop) ? entered.get(hop.pool) : undefined;
    return members?.map((member) => ({ ...member.hop, ...keysOf(hop) })) ?? [hop];
  };
  return routes.map(([first = [], ...rest]) => [distinct(first.flatMap(enter)), ...rest]);
}

/** What every source knows first; those that do not answer in time are left out. */
async function membersOf(pool: PoolMembers, { clock, limits, signal }: ClientContext): Promise<readonly Member[]> {
  const late = () => new HoplineError('TIMEOUT_CONNECT', `the members of ${pool.name} were not found in time`);
  const sources = memberSources(pool, { clock, log: silentLogger, servers: systemNameServers() });
  const reports = await withDeadline({ clock, ms: limits.connectMs, late, outer: signal }, (due) =>
    Promise.all(sources.map((source) => firstReport(source, due))),
  );
  return reports.flat();
}

async function firstReport(source: MemberSource, outer: Signal): Promise<readonly Member[]> {
  const known = new AbortController();
  let first: readonly Member[] = [];
  await source.watch(
    (members) => {
      first = members;
      known.abort();
    },
    AbortSignal.any([toAbortSignal(outer), known.signal]),
  );
  return first;
}

/** Each is the first of those that are left with a chance in proportion to its weight. */
function shuffled(members: readonly Member[]): readonly Member[] {
  const drawn = members.map((member) => ({ member, rank: -Math.log(1 - Math.random()) / member.weight }));
  drawn.sort((a, b) => a.member.priority - b.member.priority || a.rank - b.rank);
  return drawn.map(({ member }) => member);
}

function distinct(place: Place): Place {
  return [...new Map(place.map((hop) => [nodeName(hop), hop])).values()];
}
