/**
 * How long things took: counts by upper bound, and their sum, in seconds.
 *
 * Knows nothing about what is measured. Invariant: the bounds never change, so that two of the same kind can be added.
 */

/** Upper bounds in seconds, for what should take less than a moment. */
export const momentBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10] as const;
/** The same for what may take as long as a transfer does. */
export const transferBounds = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 7200] as const;

export interface HistogramCounts {
  /** Of each bound, without those of the bounds below it; the last one is for what is above them all. */
  readonly counts: readonly number[];
  /** Seconds. */
  readonly sum: number;
}

export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(seconds: number): void {
    let index = 0;
    while (index < this.#bounds.length && seconds > (this.#bounds[index] as number)) index += 1;
    (this.#counts[index] as number) += 1;
    this.#sum += seconds;
  }

  snapshot(): HistogramCounts {
    return { counts: [...this.#counts], sum: this.#sum };
  }
}
