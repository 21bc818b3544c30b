/**
 * Reads and writes of a leg under a rate limit.
 *
 * Bytes that the limit holds back stay with the leg, which then stops reading.
 * Invariant: writes happen one after the other, in the order in which they were asked for; none waits for a leg that has
 * closed.
 */

import { type Chunk, splitChunk } from '../legs/blocks.ts';
import type { LegLike } from '../legs/leg-like.ts';
import type { RateLimit } from './rate.ts';

/** Something that bytes are written to; `write` as `Leg.write`. */
export type Writer = Pick<LegLike, 'write'>;

/** The leg as it is where nothing is limited. */
export function limitWrites(leg: LegLike, rate: RateLimit | undefined): Writer {
  return rate ? new LimitedWriter(leg, rate) : leg;
}

/** As much of a chunk that was just read as the limit allows by now; the rest is read next. Throws the signal's reason. */
export async function holdBack(
  leg: LegLike,
  chunk: Chunk,
  rate: RateLimit | undefined,
  signal: AbortSignal,
): Promise<Chunk> {
  if (!rate) return chunk;
  const allowed = await rate.allow(chunk.bytes.length, signal);
  if (allowed === chunk.bytes.length) return chunk;
  const [head, tail] = splitChunk(chunk, allowed);
  leg.unread(tail);
  return head;
}

class LimitedWriter implements Writer {
  readonly #leg: LegLike;
  readonly #rate: RateLimit;
  readonly #gone = new AbortController();
  #last: Promise<void> = Promise.resolve();

  constructor(leg: LegLike, rate: RateLimit) {
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
