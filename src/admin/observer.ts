/**
 * Looks at a service once a second, and keeps what a chart needs of the last ten minutes.
 *
 * Owns the clock of it, the rates, which need two looks, and who is told of each look.
 * Invariant: one look at a time, however many people watch; a look that fails is left out, and logged once.
 */

import { type Clock, every } from '../core/clock.ts';
import type { Failing } from './failing.ts';
import type { Snapshot } from './snapshot.ts';

const lookMs = 1000;
/** Ten minutes of looks. */
const maxPoints = 600;
/** A look that is not older than this is as good as a new one. */
const freshMs = 200;

/** What a look is called where it fails. */
const name = 'what goes on';

/** What a chart shows of one look: rates are since the look before. */
export interface ChartPoint {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Bytes a second. */
  readonly relay: number;
  readonly origin: number;
  readonly http: number;
  readonly circuits: number;
  readonly requests: number;
  /** A second. */
  readonly refusals: number;
  /** Seconds. */
  readonly lag: number;
}

/** Bytes a second since the look before, each way. */
interface Speed {
  readonly forward: number;
  readonly back: number;
}

/** One look, with what only shows beside the one before. */
export interface View {
  readonly snapshot: Snapshot;
  readonly point: ChartPoint;
  /** In the order of the circuits, and of the neighbours, of the snapshot. */
  readonly circuitSpeeds: readonly Speed[];
  readonly neighbourSpeeds: readonly Speed[];
  /** Of the legs of a chain, if that is what is looked at. */
  readonly legSpeeds: readonly Speed[];
}

interface ObserverOptions {
  readonly source: () => Promise<Snapshot>;
  readonly clock: Clock;
  readonly failing: Failing;
}

export class Observer {
  readonly #options: ObserverOptions;
  readonly #points: ChartPoint[] = [];
  readonly #watchers = new Set<(view: View) => void>();
  readonly #stop: () => void;
  #looking: Promise<Snapshot> | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #view: View | undefined;

  constructor(options: ObserverOptions) {
    this.#options = options;
    void this.#tick();
    this.#stop = every(options.clock, lookMs, () => void this.#tick());
  }

  /** One look now, or a moment ago. Rejects as the source does. */
  now(): Promise<Snapshot> {
    const { clock } = this.#options;
    if (this.#looking && clock.now() - this.#lookedAt < freshMs) return this.#looking;
    this.#lookedAt = clock.now();
    this.#looking = this.#look();
    return this.#looking;
  }

  /** The last look of each second; where there is none yet, or the last one failed, one now. Rejects as the source does. */
  async view(): Promise<View> {
    return this.#view ?? this.#compare(await this.now());
  }

  /** The oldest first. */
  get points(): readonly ChartPoint[] {
    return this.#points;
  }

  /** Tells of each look from now on, until the function returned is called. */
  watch(watcher: (view: View) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  close(): void {
    this.#stop();
    this.#watchers.clear();
  }

  async #look(): Promise<Snapshot> {
    const { source, failing } = this.#options;
    try {
      const snapshot = await source();
      failing.worked(name);
      return snapshot;
    } catch (error) {
      failing.failed(name, error);
      throw error;
    }
  }

  async #tick(): Promise<void> {
    const snapshot = await this.now().catch(() => undefined);
    // What was seen before is not what goes on.
    if (!snapshot) this.#view = undefined;
    if (!snapshot || snapshot === this.#view?.snapshot) return;
    const view = this.#compare(snapshot);
    this.#view = view;
    this.#points.push(view.point);
    if (this.#points.length > maxPoints) this.#points.shift();
    for (const watcher of this.#watchers) watcher(view);
  }

  #compare(snapshot: Snapshot): View {
    const before = this.#view?.snapshot;
    const seconds = before ? (snapshot.time - before.time) / 1000 : 0;
    const rate = (now: number, then: number | undefined) =>
      then === undefined || seconds <= 0 ? 0 : Math.max(0, now - then) / seconds;
    const { node, http, chain } = snapshot;
    const speedsOf = <T extends Moved>(now: readonly T[], then: readonly T[] = [], keyOf: (item: T) => string) => {
      const known = new Map(then.map((item) => [keyOf(item), item]));
      return now.map((item) => {
        const earlier = known.get(keyOf(item));
        // One that was not there in the look before began after it.
        const { bytesForward, bytesBack } = earlier ?? { bytesForward: 0, bytesBack: 0 };
        const isKnown = before !== undefined;
        return {
          forward: isKnown ? rate(item.bytesForward, bytesForward) : 0,
          back: isKnown ? rate(item.bytesBack, bytesBack) : 0,
        };
      });
    };
    return {
      snapshot,
      point: {
        time: snapshot.time,
        relay: rate(relayedBytes(snapshot), before && relayedBytes(before)),
        origin: rate(originBytes(snapshot), before && originBytes(before)),
        http: rate(http?.stats.bytes ?? 0, before && (before.http?.stats.bytes ?? 0)),
        circuits: (node?.open.relay ?? 0) + (node?.open.origin ?? 0),
        requests: http?.underWay ?? 0,
        refusals: rate(refusalsIn(snapshot), before && refusalsIn(before)),
        lag: snapshot.vitals.loopLagSeconds,
      },
      circuitSpeeds: speedsOf(node?.circuits ?? [], before?.node?.circuits, ({ id, peer }) => `${id} ${peer}`),
      neighbourSpeeds: speedsOf(node?.neighbours ?? [], before?.node?.neighbours, ({ from, to }) => `${from} ${to}`),
      legSpeeds: speedsOf(chain?.legs ?? [], before?.chain?.legs, ({ from, to }) => `${from} ${to}`),
    };
  }
}

interface Moved {
  readonly bytesForward: number;
  readonly bytesBack: number;
}

function relayedBytes({ node }: Snapshot): number {
  return node?.stats.bytesRelayed ?? 0;
}

function originBytes({ node }: Snapshot): number {
  return (node?.stats.bytesServed ?? 0) + (node?.stats.bytesUploaded ?? 0);
}

function refusalsIn({ node, http }: Snapshot): number {
  const counts = [...Object.values(node?.stats.failures ?? {}), ...Object.values(http?.stats.failures ?? {})];
  return counts.reduce((sum, count) => sum + count, 0);
}
