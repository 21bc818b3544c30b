/**
 * What a client takes from its leg: content no faster than its limit, and never a wait without end for a peer that owes bytes.
 *
 * Invariant: bytes that the limit holds back stay with the leg, which stops reading, so that the peer stops sending.
 */

import type { Clock } from '../../core/clock.ts';
import type { Limits } from '../../core/limits.ts';
import type { Chunk } from '../../io/legs/blocks.ts';
import type { LegLike } from '../../io/legs/leg-like.ts';
import { holdBack } from '../../io/rates/limited-leg.ts';
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
    this.#pace = new Patience({ clock, peer, stallMs, minRate, minRateMs, giveUp: (error) => leg.destroy(error) });
    void leg.closed.then(() => this.#pace.close());
  }

  /** The next bytes of content, as `Leg.read`. Throws `TIMEOUT_IDLE`, `TIMEOUT_SLOW`, and what broke the leg. */
  async read(maxBytes: number): Promise<Chunk | null> {
    this.#pace.begin(true);
    let chunk: Chunk | null = null;
    try {
      chunk = await this.#leg.read(maxBytes);
    } finally {
      this.#pace.end(chunk?.bytes.length ?? 0);
    }
    return chunk && holdBack(this.#leg, chunk, this.#rate, this.#signal);
  }

  /** An answer is waited for from now on, if not for ever; `isContent` where content is due with it. */
  beginAnswer(isContent: boolean): void {
    this.#pace.begin(isContent);
  }

  /** The answer came, or the wait for it failed. */
  endAnswer(): void {
    this.#pace.end(0);
  }
}
