/**
 * The way of a transfer that failed, as its error shows it: what passed, what is at fault, and what nobody got to.
 *
 * Knows hops and the error. What is at fault is what would be avoided for it.
 */

import { HoplineError, type RouteStep } from '../../core/errors.ts';
import { describeHop, type Hop } from '../../wire/address.ts';
import { placeFault } from '../ways/avoidance.ts';

/** The same error with the way over `hops`, where some of that is at fault. */
export function alongRoute(error: HoplineError, hops: readonly Hop[]): HoplineError {
  const { code, message, hop, reason, problems, cause } = error;
  const { from, at } = placeFault(error, hops.length);
  // A leg is at fault up to the hop that it leads to; behind the last one there is the file, which is no hop.
  const place = from === undefined ? at : from + 1;
  if (place === undefined || place < 1 || place > hops.length) return error;
  const isLeg = from !== undefined && (at === undefined || at === place);
  const route = hops.map((each, index) => stepOf(describeHop(each), index + 1, place, isLeg));
  const known = Object.fromEntries(
    Object.entries({ hop, reason, problems, cause }).filter(([, value]) => value !== undefined),
  );
  return new HoplineError(code, message, { ...known, route });
}

function stepOf(address: string, at: number, place: number, isLeg: boolean): RouteStep {
  if (at !== place) return { address, state: at < place ? 'passes' : 'unreached' };
  return isLeg ? { address, state: 'fails', leg: true } : { address, state: 'fails' };
}
