/**
 * Work that comes in lumps of a millisecond and that anybody may ask for: done one lump in a turn of the event loop, and in
 * no more than its share of a loop that has other work.
 *
 * A lump has to be followed by eight times as long of other work, or by a turn in which there was none. So a loop with
 * nothing else to do has as many lumps as it can, and in a busy one they take a ninth of the time. Among owners, one lump
 * each in turn. Does not know what a lump is.
 * Invariant: between two lumps the event loop has had a turn; a lump whose signal was aborted is not done.
 */

import type { Signal } from '../signal.ts';

/** How much longer other work may take than a lump before the next one. */
const othersShare = 8;
/** Milliseconds of a turn in which nothing else was done. */
const idleTurnMs = 0.05;

interface LoopShareOptions {
  /** Milliseconds. @default the process's */
  readonly now?: () => number;
  /** Calls once everything that is ready had its turn. @default setImmediate */
  readonly nextTurn?: (callback: () => void) => void;
}

interface Lump {
  readonly signal: Signal;
  readonly work: () => void;
}

export class LoopShare {
  readonly #now: () => number;
  readonly #nextTurn: (callback: () => void) => void;
  /** Whose last lump is the longest ago, first. */
  readonly #owners = new Map<string, Set<Lump>>();
  /** Milliseconds that others are to have before the next lump. */
  #owed = 0;
  #leftAt = 0;
  #isWaiting = false;

  constructor({ now = () => performance.now(), nextTurn = setImmediate }: LoopShareOptions = {}) {
    this.#now = now;
    this.#nextTurn = nextTurn;
  }

  /** Does `work` when it is its turn; `owner` is any text that stands for whoever asks. Throws what it throws, or the signal's reason. */
  run<Result>(owner: string, signal: Signal, work: () => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const lumps = this.#owners.get(owner) ?? new Set();
      this.#owners.set(owner, lumps);
      const forget = () => {
        lumps.delete(lump);
        if (lumps.size === 0 && this.#owners.get(owner) === lumps) this.#owners.delete(owner);
        reject(signal.reason);
      };
      const lump: Lump = {
        signal,
        work: () => {
          signal.removeEventListener('abort', forget);
          try {
            resolve(work());
          } catch (error) {
            reject(error);
          }
        },
      };
      lumps.add(lump);
      signal.addEventListener('abort', forget, { once: true });
      this.#await();
    });
  }

  #await(): void {
    if (this.#isWaiting || this.#owners.size === 0) return;
    this.#isWaiting = true;
    this.#nextTurn(() => this.#turn());
  }

  #turn(): void {
    this.#isWaiting = false;
    const started = this.#now();
    const others = started - this.#leftAt;
    this.#owed = others < idleTurnMs ? 0 : this.#owed - others;
    if (this.#owed <= 0) {
      this.#takeNext()?.work();
      this.#owed = (this.#now() - started) * othersShare;
    }
    this.#leftAt = this.#now();
    this.#await();
  }

  #takeNext(): Lump | undefined {
    for (const [owner, lumps] of this.#owners) {
      const [lump] = lumps;
      this.#owners.delete(owner);
      if (!lump) continue;
      lumps.delete(lump);
      if (lumps.size > 0) this.#owners.set(owner, lumps);
      return lump;
    }
    return undefined;
  }
}
