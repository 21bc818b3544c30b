/** Counts what is under way, for whoever must wait until nothing is. */
export class UnderWay {
  #count = 0;
  #waiting: (() => void)[] = [];

  /** `failed` is told if `work` fails. */
  add(work: Promise<unknown>, failed?: (cause: unknown) => void): void {
    this.#count += 1;
    work.then(this.#done, (cause) => {
      this.#done();
      failed?.(cause);
    });
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

  /** Settles once nothing is under way, not even what was added meanwhile. */
  over(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  readonly #done = () => {
    this.#count -= 1;
    if (this.#count === 0) for (const settle of this.#waiting.splice(0)) settle();
  };
}
