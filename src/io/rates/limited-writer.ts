/**
 * Writes to a leg as fast as a limit allows, and otherwise as the leg itself does.
 *
 * Invariant: one write after the other, in the order in which they were asked for; none waits for a leg that has closed.
 */

import type { Leg } from '../legs/leg.ts';
import type { RateLimit } from './rate.ts';

/** Something that bytes are written to; `write` as `Leg.write`. */
export type Writer = Pick<Leg, 'write'>;

/** The leg as it is where nothing is limited. */
export function limitWrites(leg: Leg, rate: RateLimit | undefined): Writer {
  return rate ? new LimitedWriter(leg, rate) : leg;
}

class LimitedWriter implements Writer {
  readonly #leg: Leg;
  readonly #rate: RateLimit;
  readonly #gone = new AbortController();
  #last: Promise<void> = Promise.resolve();

  constructor(leg: Leg, rate: RateLimit) {
    this.#leg = leg;
    this.#rate = rate;
    void leg.closed.then(() => this.#gone.abort());
  }

  write(bytes: Buffer): Promise<void> {
    const write = this.#last.then(() => this.#writeParts(bytes));
    this.#last = write.catch(() => {});
    return write;
  }

  async #writeParts(bytes: Buffer): Promise<void> {
    for (let left = bytes; left.length > 0; ) {
      // A closed leg needs no allowance: its write says why it is closed.
      const granted = await this.#rate.allow(left.length, this.#gone.signal).catch(() => left.length);
      await this.#leg.write(left.subarray(0, granted));
      left = left.subarray(granted);
    }
  }
}
