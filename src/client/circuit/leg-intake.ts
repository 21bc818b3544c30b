/**
 * What a client takes from its leg: content no faster than its limit, and never a wait without end for a peer that owes bytes.
 *
 * Invariant: bytes that the limit holds back are not taken from the leg, which stops reading, so that the peer stops sending.
 */

import type { Clock } from '../../core/clock.ts';
import type { HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { LegLike } from '../../io/legs/leg-like.ts';
import { readWithin } from '../../io/rates/limited-leg.ts';
import type { RateLimit } from '../../io/rates/rate.ts';
import { Patience } from './patience.ts';

export interface LegIntakeOptions {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Of all circuits together. @default as fast as content comes */
  readonly rate?: RateLimit | undefined;
  /** Bytes of content a second that a circuit must bring. @default any */
  readonly minRate?: number | undefined;
}

export class LegIntake {
  readonly #leg: LegLike;
  readonly #pace: Patience;
  readonly #rate: RateLimit | undefined;
  readonly #signal: AbortSignal;

  /** `peer` is how the leg's other end is called in messages. */
  constructor(leg: LegLike, peer: string, { limits, clock, signal, rate, minRate }: LegIntakeOptions) {
    const { stallMs, minRateMs } = limits;
    this.#leg = leg;
    this.#rate = rate;
    this.#signal = signal;
    const partialBytes = () => leg.partialBytes ?? 0;
    const giveUp = (error: HoplineError) => leg.destroy(error);
    this.#pace = new Patience({ clock, peer, stallMs, minRate, minRateMs, partialBytes, giveUp });
    void leg.closed.then(() => this.#pace.close());
  }

  /**
   * Fills `memory` with content and shows each part of it to `see` as it arrives; resolves to how many bytes came, fewer
   * where the peer ended before. Throws `TIMEOUT_IDLE`, `TIMEOUT_SLOW`, and what broke the leg.
   */
  async fill(memory: Buffer, see: (part: Buffer) => void): Promise<number> {
    for (let filled = 0; filled < memory.length; ) {
      const count = await this.#readInto(filled > 0 ? memory.subarray(filled) : memory);
      if (count === 0) return filled;
      see(memory.subarray(filled, filled + count));
      filled += count;
    }
    return memory.length;
  }

  /** An answer is waited for from now on, if not for ever; `isContent` where content is due with it. */
  beginAnswer(isContent: boolean): void {
    this.#pace.begin(isContent);
  }

  /** The answer came, or the wait for it failed. */
  endAnswer(): void {
    this.#pace.end(0);
  }

  #readInto(memory: Buffer): Promise<number> {
    return readWithin(this.#rate, memory.length, this.#signal, async (allowed) => {
      this.#pace.begin(true);
      let count = 0;
      try {
        count = await this.#leg.readInto(allowed < memory.length ? memory.subarray(0, allowed) : memory);
      } finally {
        this.#pace.end(count);
      }
      return count;
    });
  }
}
