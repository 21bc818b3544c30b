import type { Clock } from '../core/clock.ts';
import type { HoplineError } from '../core/errors.ts';
import { formatHop, type Hop } from '../wire/address.ts';
import type { RoutePlan } from '../wire/route.ts';

export class RouteChooser {
  readonly #all: { route: number; hops: readonly Hop[] }[] = [];
  readonly #bad = new Map<string, number>();
  readonly #used = new Map<readonly Hop[], number>();
  #fails = 0;
  constructor(plan: RoutePlan, _options: { clock: Clock }) {
    plan.routes.forEach((places, route) => {
      let combos: Hop[][] = [[]];
      for (const place of places) combos = combos.flatMap((c) => place.map((h) => [...c, h]));
      for (const hops of combos) this.#all.push({ route, hops });
    });
  }
  #cost(hops: readonly Hop[]): number {
    return hops.reduce((sum, hop) => sum + (this.#bad.get(formatHop(hop)) ?? 0), 0) + (this.#used.get(hops) ?? 0) * 0.5;
  }
  choose(): { route: number; hops: readonly Hop[]; waitMs: number } | undefined {
    const best = [...this.#all].sort((a, b) => this.#cost(a.hops) - this.#cost(b.hops))[0];
    if (!best || this.#cost(best.hops) > 1000) return undefined;
    return { ...best, waitMs: this.hasUntried() ? 0 : Math.min(50, 10 * this.#fails) };
  }
  use(hops: readonly Hop[]): () => void {
    this.#used.set(hops, (this.#used.get(hops) ?? 0) + 1);
    return () => this.#used.set(hops, (this.#used.get(hops) ?? 0) - 1);
  }
  failed(hops: readonly Hop[], error: HoplineError): void {
    this.#fails += 1;
    const add = (h: Hop | undefined, n: number) =>
      h && this.#bad.set(formatHop(h), (this.#bad.get(formatHop(h)) ?? 0) + n);
    if (error.code.startsWith('FILE_NOT')) add(hops.at(-1), 10000);
    else if (error.code.startsWith('FILE_')) add(hops.at(-1), 1);
    else if (error.hop === undefined)
      hops.forEach((h) => {
        add(h, 0.1);
      });
    else add(hops[error.hop], 1);
  }
  succeeded(_hops: readonly Hop[]): void {
    this.#fails = 0;
  }
  hasUntried(): boolean {
    return this.#all.some(({ hops }) => hops.every((h) => (this.#bad.get(formatHop(h)) ?? 0) === 0));
  }
}
