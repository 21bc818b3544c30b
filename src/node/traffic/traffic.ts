/**
 * What goes through a node now, and what has lately: open circuits, neighbours, and who was refused.
 *
 * Knows addresses, and no names of files. Reads what circuits have moved when it is asked, so that bytes cost nothing here.
 * Invariant: holds the open circuits, and of what is over a bounded number of neighbours and refusals.
 */

import type { Clock } from '../../core/clock.ts';
import type { ErrorCode, HoplineError } from '../../core/errors.ts';
import type { MovedBytes } from '../../core/metrics.ts';
import { BoundedMap } from '../../core/work/bounded-map.ts';
import type { TunnelProgress } from '../../io/legs/join.ts';

/** Pairs of neighbours, and kinds of refusals, that are remembered. */
const maxRemembered = 64;

export interface CircuitFacts {
  readonly role: 'relay' | 'origin';
  /** Who came, `host:port`. */
  readonly peer: string;
  /** Where it leads, as the route says; undefined where it ends. */
  readonly next?: string | undefined;
  /** The place of this node in the route. */
  readonly hop?: number | undefined;
  readonly trace?: string | undefined;
  /** Of what it is for, as its client says. */
  readonly traceId?: string | undefined;
  /** Whether it is encrypted up to this node; undefined where nobody here can know. */
  readonly secure?: boolean | undefined;
}

export interface CircuitSnapshot extends CircuitFacts, TunnelProgress {
  /** Of this process. */
  readonly id: number;
  readonly ageSeconds: number;
  /** Whether the next leg is still being opened. */
  readonly isOpening: boolean;
}

/** Two neighbours of the node, or one neighbour and the node itself, and what has passed between them. */
export interface NeighbourSnapshot {
  /** Who comes: an address without a port. */
  readonly from: string;
  /** Where to; undefined where it ends here. */
  readonly to?: string | undefined;
  readonly open: number;
  readonly circuits: number;
  readonly failed: number;
  readonly bytesForward: number;
  readonly bytesBack: number;
  /** Since something began or ended there. */
  readonly idleSeconds: number;
}

export interface RefusalSnapshot {
  readonly from: string;
  readonly code: ErrorCode;
  /** For people; without what could name a file. */
  readonly why: string;
  readonly count: number;
  readonly agoSeconds: number;
}

export interface OpenCircuit {
  /** The next leg is there, and `progress` says what has passed; the last one that is told counts. */
  goesOn(progress: () => TunnelProgress): void;
  /** It is over. */
  close(failure?: HoplineError): void;
}

interface Pair {
  readonly from: string;
  readonly to: string | undefined;
  open: number;
  circuits: number;
  failed: number;
  forward: number;
  back: number;
  at: number;
}

interface Entry {
  readonly id: number;
  readonly facts: CircuitFacts;
  readonly since: number;
  readonly pair: Pair;
  progress: (() => TunnelProgress) | undefined;
}

const nothing: TunnelProgress = { bytesForward: 0, bytesBack: 0, inKernel: false };

export class Traffic {
  readonly #clock: Clock;
  readonly #open = new Map<number, Entry>();
  readonly #pairs = new BoundedMap<string, Pair>({ maxCount: maxRemembered });
  readonly #refusals = new BoundedMap<string, { from: string; error: HoplineError; count: number; at: number }>({
    maxCount: maxRemembered,
  });
  #nextId = 1;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begin(facts: CircuitFacts): OpenCircuit {
    const id = this.#nextId;
    this.#nextId += 1;
    const since = this.#clock.now();
    const pair = this.#pairOf(facts);
    pair.open += 1;
    pair.circuits += 1;
    pair.at = since;
    const entry: Entry = { id, facts, since, pair, progress: undefined };
    this.#open.set(id, entry);
    return {
      goesOn: (progress) => {
        entry.progress = progress;
      },
      close: (failure) => this.#close(entry, failure),
    };
  }

  /** Somebody was refused, or a circuit of theirs failed. */
  refused(peer: string, error: HoplineError): void {
    const from = hostOf(peer);
    const key = `${from} ${error.code}`;
    const count = (this.#refusals.get(key)?.count ?? 0) + 1;
    this.#refusals.set(key, { from, error, count, at: this.#clock.now() });
  }

  /** The open ones, the oldest first, at most `most`. */
  circuits(most: number): CircuitSnapshot[] {
    const now = this.#clock.now();
    const shown: CircuitSnapshot[] = [];
    for (const { id, facts, since, progress } of this.#open.values()) {
      if (shown.length === most) break;
      const isOpening = progress === undefined;
      shown.push({ id, ...facts, ageSeconds: (now - since) / 1000, isOpening, ...(progress?.() ?? nothing) });
    }
    return shown;
  }

  get open(): Readonly<Record<CircuitFacts['role'], number>> {
    const count = { relay: 0, origin: 0 };
    for (const { facts } of this.#open.values()) count[facts.role] += 1;
    return count;
  }

  /** What open circuits through here have moved so far, and their ends will count. */
  get underWay(): MovedBytes['relay'] {
    const moved = { kernel: { forward: 0, back: 0 }, process: { forward: 0, back: 0 } };
    for (const { facts, progress } of this.#open.values()) {
      if (facts.role !== 'relay' || !progress) continue;
      const { bytesForward, bytesBack, inKernel } = progress();
      const by = moved[inKernel ? 'kernel' : 'process'];
      by.forward += bytesForward;
      by.back += bytesBack;
    }
    return moved;
  }

  neighbours(): NeighbourSnapshot[] {
    const now = this.#clock.now();
    const live = new Map<Pair, { forward: number; back: number }>();
    for (const { pair, progress } of this.#open.values()) {
      const { bytesForward, bytesBack } = progress?.() ?? nothing;
      const sum = live.get(pair) ?? { forward: 0, back: 0 };
      live.set(pair, { forward: sum.forward + bytesForward, back: sum.back + bytesBack });
    }
    return [...this.#pairs.values()].map((pair) => {
      const { from, to, open, circuits, failed, forward, back, at } = pair;
      const more = live.get(pair) ?? { forward: 0, back: 0 };
      const bytes = { bytesForward: forward + more.forward, bytesBack: back + more.back };
      return { from, to, open, circuits, failed, ...bytes, idleSeconds: open > 0 ? 0 : (now - at) / 1000 };
    });
  }

  refusals(): RefusalSnapshot[] {
    const now = this.#clock.now();
    return [...this.#refusals.values()].map(({ from, error, count, at }) => {
      const why = mayNameFile(error.code) ? (error.reason ?? '') : error.message;
      return { from, code: error.code, why, count, agoSeconds: (now - at) / 1000 };
    });
  }

  #pairOf({ peer, next }: CircuitFacts): Pair {
    const from = hostOf(peer);
    const key = `${from} ${next ?? ''}`;
    const known = this.#pairs.get(key);
    this.#pairs.use(key);
    if (known) return known;
    const pair = { from, to: next, open: 0, circuits: 0, failed: 0, forward: 0, back: 0, at: 0 };
    this.#pairs.set(key, pair);
    return pair;
  }

  #close({ id, pair, progress }: Entry, failure: HoplineError | undefined): void {
    if (!this.#open.delete(id)) return;
    const { bytesForward, bytesBack } = progress?.() ?? nothing;
    pair.forward += bytesForward;
    pair.back += bytesBack;
    pair.open -= 1;
    if (failure) pair.failed += 1;
    pair.at = this.#clock.now();
  }
}

/** Who it is, without the port that each connection has its own of. */
function hostOf(peer: string): string {
  return peer.replace(/:\d+$/, '');
}

function mayNameFile(code: ErrorCode): boolean {
  return /^(FILE|UPLOAD|DISK|HASH|AUTH)_/.test(code) || code === 'INTERNAL';
}
