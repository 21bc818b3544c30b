/**
 * Looks at several workers as at one service: asks each over its channel, and adds up what they send.
 *
 * Owns what workers that have ended counted. Invariant: what is counted never goes back, whichever worker ends or is late.
 */

import type { Worker } from 'node:cluster';
import { addSnapshots, pastOf, type Snapshot } from '../../admin/snapshot.ts';

/** What the first process asks a worker by. */
const lookMessage = 'look';
/** Milliseconds that a worker has to answer; then what it said last counts. */
const answerMs = 500;

interface Look {
  readonly look: Snapshot;
}

export class WorkerLooks {
  readonly #known = new Map<Worker, Snapshot>();
  #past: Snapshot | undefined;

  /** A worker has ended. */
  ended(worker: Worker): void {
    const last = this.#known.get(worker);
    if (!last) return;
    this.#known.delete(worker);
    const past = pastOf(last);
    this.#past = this.#past ? addSnapshots(this.#past, [past]) : past;
  }

  /** All of `alive` as one; undefined while none has said anything. */
  async take(alive: Iterable<Worker>): Promise<Snapshot | undefined> {
    await Promise.all([...alive].map((worker) => this.#ask(worker)));
    const [first, ...others] = [...this.#known.values(), ...(this.#past ? [this.#past] : [])];
    return first && addSnapshots(first, others);
  }

  #ask(worker: Worker): Promise<void> {
    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(late);
        worker.off('message', hear);
        resolve();
      };
      const hear = (message: Partial<Look>) => {
        if (!message.look) return;
        this.#known.set(worker, message.look);
        settle();
      };
      const late = setTimeout(settle, answerMs);
      worker.on('message', hear);
      if (worker.isConnected()) worker.send(lookMessage, undefined, () => {});
      else settle();
    });
  }
}

/** Has this worker answer whoever looks. */
export function answerLooks(take: () => Promise<Snapshot>): void {
  process.on('message', (message) => {
    if (message !== lookMessage) return;
    void take().then((look) => process.send?.({ look } satisfies Look, undefined, undefined, () => {}));
  });
}
