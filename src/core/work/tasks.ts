/**
 * Brings finished files to disk while others arrive: several at once, since each mostly waits for the disk.
 *
 * Invariant: at most `atOnce` are under way; whoever brings one more waits.
 */

const atOnce = 16;

export class Finisher {
  readonly #running = new Set<Promise<void>>();

  /** Starts `work`, which must not throw, once there is room for it; settles when it has been started. */
  async start(work: () => Promise<void>): Promise<void> {
    while (this.#running.size >= atOnce) await Promise.race(this.#running);
    const run = work().finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  /** Settles when all work is done. */
  async drain(): Promise<void> {
    await Promise.all(this.#running);
  }
}
