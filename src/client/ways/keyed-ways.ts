/**
 * The ways that end at a node whose key is known: all of what goes over them is sealed for that key.
 *
 * Invariant: if one way to a file ends at a key, every way does: whoever can make ways fail would otherwise choose the
 * one that he can read.
 * Documentation: docs/security.md#ways
 */

import { HoplineError } from '../../core/errors.ts';
import { describeHop, type Hop } from '../../wire/address.ts';
import type { RoutePlan } from '../../wire/route.ts';

type Routes = RoutePlan['routes'];

/** A hop at the end of a route, and what it is called in messages. */
interface End {
  readonly hop: Hop;
  readonly name: string;
}

/** Whether the ways end at known keys. Throws `USAGE_INVALID` where some do and others do not. */
export function checkEnds(routes: Routes): boolean {
  const ends = endsOf(routes);
  const keyed = ends.find(({ hop }) => hop.key !== undefined);
  const plain = ends.find(({ hop }) => hop.key === undefined);
  if (!keyed || !plain) return keyed !== undefined;
  const message = `${plain.name} has no key, and ${keyed.name} has one: either every way to the file ends at a key, or none`;
  throw new HoplineError('USAGE_INVALID', message);
}

/** Throws `USAGE_INVALID` if a way ends at a known key; `what` goes over no way but in plain. */
export function refuseKeys(routes: Routes, what: string): void {
  const keyed = endsOf(routes).find(({ hop }) => hop.key !== undefined);
  if (!keyed) return;
  throw new HoplineError('USAGE_INVALID', `${what} cannot be encrypted, and ${keyed.name} has a key`);
}

function endsOf(routes: Routes): End[] {
  return routes.flatMap((places, route) => {
    const which = routes.length === 1 ? '' : `route ${route + 1}, `;
    return (places.at(-1) ?? []).map((hop) => ({ hop, name: `${which}hop ${places.length} (${describeHop(hop)})` }));
  });
}
