/**
 * Picks the way that a circuit takes: one hop for every place of one route of the plan.
 *
 * Owns the order of preference: the way that failed least, then the one that others use least, then the one written first.
 * Opens nothing. Does not know what a failure says about a hop or a leg, or when to give up.
 * Invariant: a way with something avoided on it is taken only if there is none without; and if one way ends at a known
 * key, every way does.
 */

import type { Clock } from '../../core/clock.ts';
import type { HoplineError } from '../../core/errors.ts';
import { defaultLimits } from '../../core/limits.ts';
import { type Hop, hopKey, isPoolHop, nodeName, type PoolHop } from '../../wire/address.ts';
import { maxAvoided } from '../../wire/native/open-message.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { type AvoidanceLimits, avoid, backoff, forgive, type Point, type Trouble, weigh } from './avoidance.ts';
import { findBestWay, type KnownHop, type KnownRoute } from './best-way.ts';
import { checkEnds } from './keyed-ways.ts';

export interface RouteChooserOptions {
  readonly clock: Clock;
  /** From 0 up to, but not, 1. @default Math.random */
  readonly random?: () => number;
  readonly limits?: AvoidanceLimits;
}

export interface Ways extends Pick<RoutePlan, 'routes'> {
  /** The address that a tunnel leads to, behind the last node of each route: no node, and so without a key. @default none */
  readonly behind?: Hop | undefined;
}

export interface Way {
  /** Which route of the plan, from 0. */
  readonly route: number;
  readonly hops: readonly Hop[];
  /** Members of pools that failed a moment ago. */
  readonly avoid: readonly string[];
  /** How long to wait before it is tried; 0 unless something on it failed a moment ago. */
  readonly waitMs: number;
}

export class RouteChooser {
  /** Whether every way ends at a node whose key is known. */
  readonly isKeyed: boolean;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #limits: AvoidanceLimits;
  readonly #client = createPoint();
  readonly #file = createPoint();
  readonly #hops = new Map<string, KnownHop>();
  readonly #routes: readonly KnownRoute[];
  /** Members of pools that were taken and failed, at most `maxAvoided` of them. */
  readonly #members = new Map<string, KnownHop>();
  /** When the way that a circuit runs over was taken. */
  readonly #takenMs = new WeakMap<readonly Hop[], number>();

  /** Throws `USAGE_INVALID` where some ways end at a known key and others do not. */
  constructor({ routes, behind }: Ways, { clock, random = Math.random, limits = defaultLimits }: RouteChooserOptions) {
    this.isKeyed = checkEnds(routes);
    this.#clock = clock;
    this.#random = random;
    this.#limits = limits;
    this.#routes = routes.map((route) => {
      const written = behind ? [...route, [behind]] : route;
      const places = written.map((place) => place.map((hop) => this.#know(hop)));
      return { places: [[this.#client], ...places, [this.#file]], uses: 0, isTried: false };
    });
  }

  /** The best way now; undefined if every way has a failure on it that nothing mends. */
  choose(): Way | undefined {
    const best = findBestWay(this.#routes, this.#clock.now(), true);
    if (!best) return undefined;
    const hops = best.way.flatMap(({ hop }) => (hop ? [hop] : []));
    return { route: this.#routes.indexOf(best.route), hops, avoid: this.#avoided(), waitMs: this.#waitFor(best.way) };
  }

  /** Counts a way as in use, until what it returns is called. */
  use(hops: readonly Hop[]): () => void {
    const way = this.#wayOver(hops);
    const used = [this.#routeOf(way), ...way];
    this.#takenMs.set(hops, this.#clock.now());
    for (const each of used) if (each) each.uses += 1;
    return () => {
      for (const each of used.splice(0)) if (each) each.uses -= 1;
    };
  }

  /**
   * Remembers that a circuit over `hops` failed; what is avoided follows from the error's code and place. A failure of a
   * member in `taken` is not its pool's, unless it was to be avoided already: so the pool is tried at once for as long
   * as it has others.
   */
  failed(hops: readonly Hop[], error: HoplineError, taken: readonly Hop[] = hops): void {
    const takenMs = this.#takenMs.get(hops) ?? Number.POSITIVE_INFINITY;
    const points = taken.map((hop) => this.#knowMember(hop, takenMs) ?? this.#know(hop));
    const way = [this.#client, ...points, this.#file];
    avoid(way, error, { nowMs: this.#clock.now(), takenMs, limits: this.#limits });
    // With the fault elsewhere, another member would do no better, and the way is one that was tried.
    const isMembers = points.some((point) => isMember(point) && troublesOf(point).length > 0);
    this.#setTried(isMembers ? way : this.#wayOver(hops), true);
  }

  /** Content came over `hops`: what failed there before this way was taken is forgiven, also to the members in `taken`. */
  succeeded(hops: readonly Hop[], taken: readonly Hop[] = hops): void {
    const way = this.#wayOver(hops);
    forgive(way, this.#takenMs.get(hops) ?? Number.POSITIVE_INFINITY);
    this.#setTried(way, false);
    for (const hop of taken) if (isPoolHop(hop)) this.#members.delete(memberKey(hop));
  }

  /**
   * Whether the best way is another one, rather than one that failed and carried nothing since: it has a hop, or is on a
   * route, that no failed circuit ran over. So it becomes false after as many failures as there are hops and routes.
   */
  hasUntried(): boolean {
    const best = findBestWay(this.#routes, this.#clock.now(), false);
    return best !== undefined && [best.route, ...best.way].some(({ isTried }) => !isTried);
  }

  #know(hop: Hop): KnownHop {
    const key = nodeName(hop);
    const known = this.#hops.get(key) ?? createPoint(hop);
    this.#hops.set(key, known);
    return known;
  }

  /** The member that was taken at `takenMs`; undefined if none was, and if its failure is more than its own. */
  #knowMember(hop: Hop, takenMs: number): KnownHop | undefined {
    if (!isPoolHop(hop) || !hop.member) return undefined;
    const key = memberKey(hop);
    const known = this.#members.get(key);
    if (known) return troublesOf(known).some(({ failedMs }) => failedMs <= takenMs) ? undefined : known;
    if (this.#members.size >= maxAvoided) return undefined;
    const member = createPoint(hop);
    this.#members.set(key, member);
    return member;
  }

  #avoided(): string[] {
    const nowMs = this.#clock.now();
    for (const [key, member] of this.#members) {
      if (troublesOf(member).every((trouble) => weigh(trouble, nowMs) === 0)) this.#members.delete(key);
    }
    return [...this.#members.values()].flatMap(({ hop }) =>
      hop && isPoolHop(hop) && hop.member ? hopKey(hop.member) : [],
    );
  }

  #wayOver(hops: readonly Hop[]): KnownHop[] {
    return [this.#client, ...hops.map((hop) => this.#know(hop)), this.#file];
  }

  #routeOf(way: readonly KnownHop[]): KnownRoute | undefined {
    return this.#routes.find(
      ({ places }) => places.length === way.length && way.every((point, place) => places[place]?.includes(point)),
    );
  }

  #setTried(way: readonly KnownHop[], isTried: boolean): void {
    const route = this.#routeOf(way);
    if (route) route.isTried = isTried;
    for (const point of way) if (point.hop) point.isTried = isTried;
  }

  #waitFor(way: readonly KnownHop[]): number {
    const nowMs = this.#clock.now();
    const troubles = way.flatMap((point, place) => [point.trouble, point.legs.get(way[place + 1] ?? point)]);
    if (troubles.every((trouble) => weigh(trouble, nowMs) === 0)) return 0;
    const jitter = 0.5 + this.#random() / 2;
    return Math.max(...troubles.map((trouble) => backoff(trouble, { nowMs, jitter, limits: this.#limits })));
  }
}

function isMember({ hop }: KnownHop): boolean {
  return hop !== undefined && isPoolHop(hop) && hop.member !== undefined;
}

function memberKey({ pool, member }: PoolHop): string {
  return `@${pool} ${member ? hopKey(member) : ''}`;
}

function troublesOf({ trouble, legs }: Point): Trouble[] {
  return [...(trouble ? [trouble] : []), ...legs.values()];
}

function createPoint(hop?: Hop): KnownHop {
  const known = { trouble: undefined, legs: new Map(), uses: 0 };
  // The ends are on every way, and so make none a new one.
  return hop ? { ...known, hop, isTried: false } : { ...known, isTried: true };
}
