/**
 * Work that has been begun and not awaited: how much of it may run at once, and the wait until none does.
 *
 * Owns the count. Does not know what the work is, and stops none of it.
 */

export class Tasks {
  readonly #atOnce: number;
  #running = 0;
  #waiting: (() => void)[] = [];

  /** `atOnce` is for `start`. */
  constructor(atOnce = Number.POSITIVE_INFINITY) {
    this.#atOnce = atOnce;
  }

  get running(): number {
    return this.#running;
  }

  /** Keeps count of work that runs already. Only `failed` is told if it fails. */
  add(work: Promise<unknown>, failed?: (cause: unknown) => void): void {
    this.#running += 1;
    work.then(this.#ended, (cause) => {
      this.#ended();
      failed?.(cause);
    });
  }

  /** Begins `work`, which must not throw, once fewer than `atOnce` run; settles when it has begun. */
  async start(work: () => Promise<void>): Promise<void> {
    while (this.#running >= this.#atOnce) await this.#oneEnded();
    this.add(work());
  }

  /** Settles once nothing runs, not even what was added meanwhile. */
  async over(): Promise<void> {
    while (this.#running > 0) await this.#oneEnded();
  }

  /** As `over`, but settles after `ms` milliseconds at the latest, whatever hangs. */
  overWithin(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      void this.over().then(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #oneEnded(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  readonly #ended = () => {
    this.#running -= 1;
    if (this.#waiting.length > 0) for (const settle of this.#waiting.splice(0)) settle();
  };
}
