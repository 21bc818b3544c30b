/**
 * Traces routes: looks at every hop of every place, each over the way before it, and says what is wrong where.
 *
 * Owns the order: a place is looked at once one before it answers; alternates, members of pools and routes side by side; rates one
 * after the other, at the end, since they would disturb all else.
 * Invariant: a trace throws for what is wrong with its options alone; what is wrong with a route is in its looks.
 * Documentation: docs/trace.md
 */

import { type OptionNames, refuseUnknown } from '../../core/failure/known-names.ts';
import { type Hop, isPoolHop } from '../../wire/address.ts';
import type { PublicKey } from '../../wire/keys/key.ts';
import { maxAvoided } from '../../wire/native/open-message.ts';
import type { RoutePlan } from '../../wire/route.ts';
import type { ClientContext } from '../circuit/circuit.ts';
import { type TransferOptions, withClient } from '../transfer.ts';
import { enterPools } from '../ways/first-pool.ts';
import { concludeClocks, concludeLarge, concludeRates } from './conclusions.ts';
import { createLook, type HopLook } from './hop-look.ts';
import { HopTracer } from './hop-tracer.ts';

export interface TraceOptions
  extends Pick<TransferOptions, 'pools' | 'identity' | 'signal' | 'deadlineMs' | 'limits' | 'clock' | 'resolve'> {
  readonly route: Pick<RoutePlan, 'routes'>;
  /** Round trips to each hop. @default 5 */
  readonly count?: number | undefined;
  /** Milliseconds between them. @default 200 */
  readonly intervalMs?: number | undefined;
  /** Whether it is measured how much passes. @default false */
  readonly rate?: boolean | undefined;
  /** Milliseconds for each direction of each hop. @default 1000 */
  readonly rateMs?: number | undefined;
  /** Milliseconds for each leg to be connected, and to answer. @default 5000 */
  readonly patienceMs?: number | undefined;
  /** What this machine knows of first hops without a key in the route, by `hopKey`. @default nothing */
  readonly knownKeys?: ReadonlyMap<string, PublicKey> | undefined;
  /** How a rate is written in findings. */
  readonly formatRate?: ((bytesPerSecond: number) => string) | undefined;
  /** Milliseconds since 1970. @default Date.now */
  readonly wallClock?: (() => number) | undefined;
  /** Called whenever something came to be known, with all looks in their order. Must not throw. */
  readonly onLook?: ((looks: readonly HopLook[]) => void) | undefined;
}

const names = {
  route: true,
  count: true,
  intervalMs: true,
  rate: true,
  rateMs: true,
  patienceMs: true,
  knownKeys: true,
  formatRate: true,
  wallClock: true,
  onLook: true,
  pools: true,
  identity: true,
  signal: true,
  deadlineMs: true,
  limits: true,
  clock: true,
  resolve: true,
} as const satisfies OptionNames<TraceOptions>;

/** Resolves to a look at each hop, in the order of routes, places and alternates. Throws `USAGE_INVALID`, and as a transfer. */
export async function traceRoutes(options: TraceOptions): Promise<readonly HopLook[]> {
  refuseUnknown(options, { by: 'traceRoutes', names });
  return withClient(options, async (client) => {
    const routes = await enterPools(options.route.routes, options.pools, client);
    const trace = new RouteTraces(routes, client, options);
    await trace.run();
    return trace.looks;
  });
}

class RouteTraces {
  readonly #routes: RoutePlan['routes'];
  readonly #client: ClientContext;
  readonly #options: TraceOptions;
  /** Those of each route, in their order. */
  readonly #looks: HopLook[][];
  readonly #tracer: HopTracer;

  constructor(routes: RoutePlan['routes'], client: ClientContext, options: TraceOptions) {
    this.#routes = routes;
    this.#client = client;
    this.#options = options;
    this.#looks = routes.map(() => []);
    const { count = 5, intervalMs = 200, patienceMs = 5_000, wallClock = Date.now, knownKeys = new Map() } = options;
    // A probe of which nothing comes for as long as a broken circuit is asked is not on its way any more.
    const patient = { ...client, limits: { ...client.limits, stallMs: client.limits.probeMs } };
    const told = () => options.onLook?.(this.looks);
    this.#tracer = new HopTracer(patient, { count, intervalMs, patienceMs, wallClock, knownKeys, told });
  }

  get looks(): readonly HopLook[] {
    return this.#looks.flat();
  }

  async run(): Promise<void> {
    try {
      await Promise.all(this.#routes.map((places, index) => this.#traceRoute(places, index)));
      this.#client.signal.throwIfAborted();
      for (const looks of this.#looks) {
        concludeLarge(looks);
        concludeClocks(looks);
      }
      if (this.#options.rate) await this.#measureRates();
    } finally {
      await this.#tracer.close();
    }
    for (const look of this.looks) look.isDone = true;
    this.#options.onLook?.(this.looks);
  }

  async #traceRoute(places: RoutePlan['routes'][number], route: number): Promise<void> {
    const running: Promise<void>[] = [];
    let before: HopLook | undefined;
    let isBroken = false;
    for (const [index, place] of places.entries()) {
      const isLast = index === places.length - 1;
      const begun = place.map((hop) => this.#begin(hop, { route, place: index + 1, before, isBroken }));
      if (isBroken) continue;
      const looking = begun.map((look) => this.#tracer.look(look, isLast));
      for (const [at, { done }] of looking.entries()) {
        const look = begun[at] as HopLook;
        running.push(done.then(() => this.#traceMembers(look, isLast, [])));
      }
      before = await firstThatAnswers(begun, looking);
      isBroken = before === undefined;
    }
    await Promise.all(running);
  }

  #begin(
    hop: Hop,
    {
      route,
      place,
      before,
      isBroken,
    }: { route: number; place: number; before: HopLook | undefined; isBroken: boolean },
  ): HopLook {
    const look = createLook(route + 1, place, hop, before);
    if (isBroken) Object.assign(look, { state: 'unreached', isDone: true });
    this.#looks[route]?.push(look);
    return look;
  }

  /**
   * The other members of a pool: its relay takes those that are to be avoided only where there is no other. Of more than OPEN has
   * room for it may take one again, and a relay that makes members up would have new ones for ever.
   */
  async #traceMembers(look: HopLook, isLast: boolean, taken: readonly Hop[]): Promise<void> {
    if (!isPoolHop(look.hop) || !look.hop.member || look.state !== 'answers') return;
    const members = [...taken, look.hop.member];
    if (members.length > maxAvoided) return;
    const { member: _, ...pool } = look.hop;
    const next = createLook(look.route, look.place, pool, look.before);
    const { done, answered } = this.#tracer.look(next, isLast, members);
    const isNew = await answered.then(() => next.state === 'answers' && !this.#tracer.isRepeated(next, members));
    if (!isNew) return;
    const looks = this.#looks[look.route - 1] as HopLook[];
    looks.splice(looks.indexOf(look) + 1, 0, next);
    await done;
    await this.#traceMembers(next, isLast, members);
  }

  async #measureRates(): Promise<void> {
    const { rateMs = 1_000, formatRate = (rate) => `${rate} B/s` } = this.#options;
    for (const look of this.looks) {
      await this.#tracer.measureRates(look, rateMs);
      concludeRates(look, formatRate);
      look.isDone = true;
      this.#options.onLook?.(this.looks);
    }
  }
}

/** The one that the way goes on over: the first in its order that answers. */
async function firstThatAnswers(
  looks: readonly HopLook[],
  looking: readonly { readonly answered: Promise<void> }[],
): Promise<HopLook | undefined> {
  for (const [index, { answered }] of looking.entries()) {
    await answered;
    const look = looks[index];
    if (look?.state === 'answers' || look?.state === 'classic') return look;
  }
  return undefined;
}
