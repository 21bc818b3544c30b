/**
 * What a limit lets one user inside the kernel move: asked for before each call, the rest given back after it.
 *
 * For code that is turned by events and cannot wait: it is called when there is more.
 * Invariant: between `take` and `spend` nothing else happens, so no more than one call's bytes are ever held.
 */

import type { RateLimit } from '../rates/rate.ts';

export class Allowance {
  readonly #rate: RateLimit;
  readonly #allowed: () => void;
  #granted = 0;
  #cancel: (() => void) | undefined;

  /** `allowed` is called when there is more after a `take` that gave nothing. */
  constructor(rate: RateLimit, allowed: () => void) {
    this.#rate = rate;
    this.#allowed = allowed;
  }

  /** Whether there is nothing, and `allowed` will be called. */
  get isWaiting(): boolean {
    return this.#cancel !== undefined;
  }

  /** How many of `wanted` bytes may be moved now; 0 if there are none. */
  take(wanted: number): number {
    if (this.#cancel) return 0;
    this.#granted ||= this.#rate.grant(wanted);
    if (this.#granted > 0) return Math.min(this.#granted, wanted);
    this.#cancel = this.#rate.wait(wanted, (granted) => {
      this.#cancel = undefined;
      this.#granted = granted;
      this.#allowed();
    });
    return 0;
  }

  /** What became of it: bytes that were moved, or an errno, negated. */
  spend(result: number): void {
    this.#rate.giveBack(this.#granted - Math.max(0, result));
    this.#granted = 0;
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
