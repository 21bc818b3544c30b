/**
 * The routes that one request after another takes, what carried the last of them first.
 *
 * A route chooser knows what failed within one transfer, and a new one begins
 * with what is written first. For short transfers, one behind the other, a hop that is
 * down would cost each of them a deadline. So the way that carried something
 * lately goes before all others, until the preferred ones are due to be tried again.
 * Invariant: the ways stay those of the plan; only their order changes.
 */

import type { Clock } from '../../core/clock.ts';
import { type Hop, isPoolHop, nodeName, type PoolHop } from '../../wire/address.ts';
import type { RoutePlan } from '../../wire/route.ts';

export type Routes = RoutePlan['routes'];

export class RecentWay {
  readonly #routes: Routes;
  readonly #clock: Clock;
  readonly #keepMs: number;
  #carried: { readonly hops: readonly Hop[]; readonly untilMs: number } | undefined;

  /** `keepMs` after a way has become the first, the order of `routes` counts again. */
  constructor(routes: Routes, clock: Clock, keepMs: number) {
    this.#routes = routes;
    this.#clock = clock;
    this.#keepMs = keepMs;
  }

  /** In the order to try them. */
  get routes(): Routes {
    const way = this.#current();
    return way ? [way.hops.map((hop) => [hop]), ...this.#routes] : this.#routes;
  }

  /** Something came over `hops`. */
  carried(hops: readonly Hop[]): void {
    // Not later for each success: a preferred hop that is back would never be tried while there is work to do.
    const current = this.#current();
    if (current && nameWay(current.hops) === nameWay(hops)) return;
    // Which member of a pool comes next is not for this way to say.
    const asked = hops.map((hop) => (isPoolHop(hop) ? withoutMember(hop) : hop));
    this.#carried = { hops: asked, untilMs: this.#clock.now() + this.#keepMs };
  }

  #current(): { readonly hops: readonly Hop[] } | undefined {
    return this.#carried && this.#clock.now() < this.#carried.untilMs ? this.#carried : undefined;
  }
}

function nameWay(hops: readonly Hop[]): string {
  return hops.map(nodeName).join(' ');
}

function withoutMember({ member: _, ...pool }: PoolHop): PoolHop {
  return pool;
}
