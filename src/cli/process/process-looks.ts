/**
 * Looks at several processes as at one service: asks each over its channel, and adds up what they send.
 *
 * Owns what processes that have ended counted. Invariant: what is counted never goes back, whichever ends or is late.
 */

import type { ChildProcess } from 'node:child_process';
import { addSnapshots, pastOf, type Snapshot } from '../../admin/snapshot.ts';

/** What a process is asked by. */
const lookMessage = 'look';
/** Milliseconds that it has to answer; then what it said last counts. */
const answerMs = 500;

interface Look {
  readonly look: Snapshot;
}

export class ProcessLooks {
  readonly #known = new Map<ChildProcess, Snapshot>();
  #past: Snapshot | undefined;

  /** A process has ended. */
  ended(child: ChildProcess): void {
    const last = this.#known.get(child);
    if (!last) return;
    this.#known.delete(child);
    const past = pastOf(last);
    this.#past = this.#past ? addSnapshots(this.#past, [past]) : past;
  }

  /** What a process said last. */
  of(child: ChildProcess): Snapshot | undefined {
    return this.#known.get(child);
  }

  /** All of `alive` as one; undefined while none has said anything. */
  async take(alive: Iterable<ChildProcess>): Promise<Snapshot | undefined> {
    await Promise.all([...alive].map((child) => this.#ask(child)));
    const [first, ...others] = [...this.#known.values(), ...(this.#past ? [this.#past] : [])];
    return first && addSnapshots(first, others);
  }

  #ask(child: ChildProcess): Promise<void> {
    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(late);
        child.off('message', hear);
        resolve();
      };
      const hear = (message: Partial<Look>) => {
        if (!message.look) return;
        this.#known.set(child, message.look);
        settle();
      };
      const late = setTimeout(settle, answerMs);
      child.on('message', hear);
      if (child.connected) child.send(lookMessage, () => {});
      else settle();
    });
  }
}

/** Has this process answer whoever started it with a channel, and looks. */
export function answerLooks(take: () => Promise<Snapshot>): void {
  process.on('message', (message) => {
    if (message !== lookMessage) return;
    const answer = (look: Snapshot) => process.send?.({ look } satisfies Look, undefined, undefined, () => {});
    // One whose start fails says why as it ends.
    take().then(answer, () => {});
  });
}
