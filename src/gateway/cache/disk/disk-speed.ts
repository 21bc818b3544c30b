/**
 * Whether the disk takes small files so quickly that the process may wait for each of them.
 *
 * A loaded disk, and a file system that searches long for free space, need milliseconds for what otherwise takes 20 µs.
 * Invariant: a call that takes too long on average is not made in this way for a while.
 */

import type { Clock } from '../../../core/clock.ts';
import type { Limits } from '../../../core/limits.ts';

/** How much one time counts: a pause of the process among many short ones must not decide. */
const weight = 1 / 64;

export class DiskSpeed {
  readonly #clock: Clock;
  readonly #limits: Limits;
  #averageUs = 0;
  #slowUntil = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, limits: Limits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get isQuick(): boolean {
    return this.#clock.now() >= this.#slowUntil;
  }

  /** Does what others wait for, and remembers how long that took. */
  time<T>(work: () => T): T {
    const began = this.#clock.now();
    try {
      return work();
    } finally {
      const ended = this.#clock.now();
      this.#averageUs += ((ended - began) * 1000 - this.#averageUs) * weight;
      if (this.#averageUs > this.#limits.maxCachePutUs) {
        this.#averageUs = 0;
        this.#slowUntil = ended + this.#limits.cacheSlowMs;
      }
    }
  }
}
