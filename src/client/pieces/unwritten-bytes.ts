/**
 * How much of all pieces of a transfer has come and is not written yet, over all of its circuits.
 *
 * Owns the count. Whoever adds to it while it is over decides what to do about that: nobody waits for anybody else here, since
 * whoever is waited for might wait for bytes that come later.
 */

export class UnwrittenBytes {
  readonly #most: number;
  #bytes = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Whether more is held than should be. */
  get isOver(): boolean {
    return this.#bytes > this.#most;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  /** They are written, or given up. */
  remove(bytes: number): void {
    this.#bytes -= bytes;
  }
}
