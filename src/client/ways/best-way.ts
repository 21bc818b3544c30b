/**
 * Finds the way that has least on it that failed, then the one that others use least, then the one that is written first.
 *
 * Knows nothing about what fails or why. Invariant: what it takes grows with the hops, not with the ways.
 */

import type { Hop } from '../../wire/address.ts';
import { type Point, weigh } from './avoidance.ts';

/** One address of the plan, on however many routes it is. */
export interface KnownHop extends Point {
  /** Missing at the two ends, the client and the file. */
  readonly hop?: Hop;
  /** Circuits that run over it. */
  uses: number;
  /** Whether a circuit over it failed and none has carried content since. */
  isTried: boolean;
}

export interface KnownRoute {
  /** The client, the places, the file. */
  readonly places: readonly (readonly KnownHop[])[];
  uses: number;
  isTried: boolean;
}

export interface BestWay {
  readonly route: KnownRoute;
  readonly way: readonly KnownHop[];
}

/** The best way from one point to the file. */
interface Tail {
  readonly point: KnownHop;
  readonly weight: number;
  readonly uses: number;
  readonly next: Tail | undefined;
}

/**
 * The best way, with or without regard to who uses what: a circuit that just failed still counts as a user. Undefined if
 * every way has something on it that nothing mends.
 */
export function findBestWay(routes: readonly KnownRoute[], nowMs: number, isSpread: boolean): BestWay | undefined {
  let best: { readonly route: KnownRoute; readonly tail: Tail } | undefined;
  for (const route of routes) {
    const tail = findTail(route.places, nowMs, isSpread);
    if (!tail || tail.weight === Number.POSITIVE_INFINITY) continue;
    const others = isSpread && best ? route.uses - best.route.uses : 0;
    const ahead = best ? tail.weight - best.tail.weight || others || tail.uses - best.tail.uses : -1;
    if (ahead < 0) best = { route, tail };
  }
  if (!best) return undefined;
  const way: KnownHop[] = [];
  for (let tail: Tail | undefined = best.tail; tail; tail = tail.next) way.push(tail.point);
  return { route: best.route, way };
}

/**
 * The best way through `places`, found from its end: the ways are as many as the products of the alternates, but the best
 * one from a hop on does not depend on how that hop was reached. Among equals, the first as written.
 */
function findTail(places: KnownRoute['places'], nowMs: number, isSpread: boolean): Tail | undefined {
  let tails: readonly Tail[] | undefined;
  for (let place = places.length - 1; place >= 0; place -= 1) {
    const nexts: readonly Tail[] | undefined = tails;
    tails = places[place]?.map((point) => {
      const next = nexts && findNext(point, nexts, nowMs);
      // A place without hops, in a plan that was not parsed, leads nowhere.
      const onward = next?.weight ?? (nexts ? Number.POSITIVE_INFINITY : 0);
      const own = weigh(point.trouble, nowMs) + (next ? weigh(point.legs.get(next.point), nowMs) : 0);
      return {
        point,
        weight: own + onward,
        uses: (next?.uses ?? 0) + (isSpread ? point.uses : 0),
        next,
      };
    });
  }
  return tails?.[0];
}

function findNext(point: KnownHop, nexts: readonly Tail[], nowMs: number): Tail | undefined {
  let best: Tail | undefined;
  let least = 0;
  for (const next of nexts) {
    const weight = next.weight + (point.legs.size === 0 ? 0 : weigh(point.legs.get(next.point), nowMs));
    if (best && (weight > least || (weight === least && next.uses >= best.uses))) continue;
    best = next;
    least = weight;
  }
  return best;
}
