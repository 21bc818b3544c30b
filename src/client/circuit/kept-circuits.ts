/**
 * Circuits that wait for the next file: opening one costs a connection on every leg, and small files come many at a time.
 *
 * Knows when a circuit may be kept and for how long; whether it still works is found out by using it.
 * Invariant: a circuit that is kept owes no answer, and once `close()` has settled none is kept.
 */

import type { Limits } from '../../core/limits.ts';
import { Tasks } from '../../core/work/tasks.ts';
import type { LegLike } from '../../io/legs/leg-like.ts';
import { Circuit, type ClientContext } from './circuit.ts';

interface Kept {
  readonly leg: LegLike;
  readonly way: Pick<Circuit, 'hops' | 'key' | 'trace'>;
  readonly cancel: () => void;
}

/** After so many files a circuit is opened anew, by the way that is the best one then. */
const maxUses = 64;

export class KeptCircuits {
  readonly #limits: Pick<Limits, 'maxKeptCircuits' | 'keepCircuitMs'>;
  readonly #kept: Kept[] = [];
  readonly #uses = new WeakMap<LegLike, number>();
  readonly #closing = new Tasks();
  #isClosed = false;

  constructor(limits: Pick<Limits, 'maxKeptCircuits' | 'keepCircuitMs'>) {
    this.#limits = limits;
  }

  /** The circuit that was used last, if one is left. */
  take(client: ClientContext): Circuit | undefined {
    for (let kept = this.#kept.pop(); kept; kept = this.#kept.pop()) {
      const { leg, way, cancel } = kept;
      cancel();
      if (leg.isQuiet) return Circuit.resume(leg, way, client);
      this.#drop(leg);
    }
    return undefined;
  }

  /** Keeps a circuit whose answers have all come. */
  keep(circuit: Circuit, { clock }: ClientContext): void {
    const leg = circuit.release();
    const uses = (this.#uses.get(leg) ?? 0) + 1;
    this.#uses.set(leg, uses);
    if (this.#isClosed || uses >= maxUses || !leg.isQuiet || this.#kept.length >= this.#limits.maxKeptCircuits) {
      this.#drop(leg);
      return;
    }
    const cancel = clock.after(this.#limits.keepCircuitMs, () => {
      this.#kept.splice(this.#kept.indexOf(kept), 1);
      this.#drop(leg);
    });
    const { hops, key, trace } = circuit;
    const kept = { leg, way: { hops, key, trace }, cancel };
    this.#kept.push(kept);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { leg, cancel } of this.#kept.splice(0)) {
      cancel();
      this.#drop(leg);
    }
    await this.#closing.over();
  }

  #drop(leg: LegLike): void {
    leg.destroy();
    this.#closing.add(leg.closed);
  }
}
