/**
 * Reads and writes of a leg under a rate limit.
 *
 * Bytes that the limit holds back are not read, so that the leg stops reading.
 * Invariant: writes happen one after the other, in the order in which they were asked for; none waits for a leg that has
 * closed.
 */

import { OwnSignal, type Signal } from '../../core/signal.ts';
import type { LegLike } from '../legs/leg-like.ts';
import type { RateLimit } from './rate.ts';

/** Something that bytes are written to, as to a leg. */
export type Writer = Pick<LegLike, 'write' | 'post'>;

/** The leg as it is where nothing is limited. */
export function limitWrites(leg: LegLike, rate: RateLimit | undefined): Writer {
  return rate ? new LimitedWriter(leg, rate) : leg;
}

/** Has `read` take as many of `wanted` bytes as the limit allows by now, once it allows any. Throws the signal's reason, and what `read` does. */
export async function readWithin(
  rate: Pick<RateLimit, 'allow' | 'giveBack'> | undefined,
  wanted: number,
  signal: Signal,
  read: (allowed: number) => Promise<number>,
): Promise<number> {
  if (!rate) return read(wanted);
  const allowed = await rate.allow(wanted, signal);
  let count = 0;
  try {
    count = await read(allowed);
    return count;
  } finally {
    rate.giveBack(allowed - count);
  }
}

class LimitedWriter implements Writer {
  readonly #leg: LegLike;
  readonly #rate: RateLimit;
  readonly #gone = new OwnSignal();
  #last: Promise<void> = Promise.resolve();
  /** Writes that the leg does not have all of. */
  #waiting = 0;

  constructor(leg: LegLike, rate: RateLimit) {
    this.#leg = leg;
    this.#rate = rate;
    void leg.closed.then(() => this.#gone.abort());
  }

  write(bytes: Buffer): Promise<void> {
    this.#waiting += 1;
    const write = this.#last.then(() => this.#writeParts(bytes));
    const settle = () => {
      this.#waiting -= 1;
    };
    this.#last = write.then(settle, settle);
    return write;
  }

  /** No limit holds it back, but what is written before does. */
  post(bytes: Buffer): void {
    if (this.#waiting === 0) this.#leg.post(bytes);
    else this.write(bytes).catch(() => {});
  }

  async #writeParts(bytes: Buffer): Promise<void> {
    for (let left = bytes; left.length > 0; ) {
      // A closed leg needs no allowance: its write says why it is closed.
      const granted = await this.#rate.allow(left.length, this.#gone).catch(() => left.length);
      await this.#leg.write(left.subarray(0, granted));
      left = left.subarray(granted);
    }
  }
}
