/**
 * What a client takes from its leg: content no faster than its limit, and never a wait without end for a peer that owes bytes.
 *
 * Invariant: bytes that the limit holds back are not taken from the leg, which stops reading, so that the peer stops sending.
 */

import type { Clock } from '../../core/clock.ts';
import type { HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { Signal } from '../../core/signal.ts';
import type { PieceBlocks } from '../../io/kernel/piece-blocks.ts';
import { readHead, readHeadNow } from '../../io/legs/head.ts';
import type { LegLike } from '../../io/legs/leg-like.ts';
import { readWithin } from '../../io/rates/limited-leg.ts';
import type { RateLimit } from '../../io/rates/rate.ts';
import { type Answer, decodeAnswer } from '../../wire/native/messages.ts';
import { Patience } from './patience.ts';

export interface LegIntakeOptions {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly signal: Signal;
  /** Of all circuits together. @default as fast as content comes */
  readonly rate?: RateLimit | undefined;
  /** Bytes of content a second that a circuit must bring. @default any */
  readonly minRate?: number | undefined;
  /** What pieces are received into, by all circuits. @default some for each circuit */
  readonly blocks?: PieceBlocks | undefined;
}

export class LegIntake {
  readonly #leg: LegLike;
  readonly #clock: Clock;
  readonly #pace: Patience;
  readonly #rate: RateLimit | undefined;
  readonly #signal: Signal;
  readonly #decode: (bytes: Buffer) => ReturnType<typeof decodeAnswer>;

  /** `peer` is how the leg's other end is called in messages. */
  constructor(leg: LegLike, peer: string, { limits, clock, signal, rate, minRate }: LegIntakeOptions) {
    const { stallMs, minRateMs } = limits;
    this.#leg = leg;
    this.#clock = clock;
    this.#rate = rate;
    this.#signal = signal;
    this.#decode = (bytes) => decodeAnswer(bytes, limits.maxHeaderBytes);
    const partialBytes = () => leg.partialBytes ?? 0;
    const giveUp = (error: HoplineError) => leg.destroy(error);
    this.#pace = new Patience({ clock, peer, stallMs, minRate, minRateMs, partialBytes, giveUp });
    void leg.closed.then(() => this.#pace.close());
  }

  /**
   * Fills `memory` with content and tells `onBytes` how many bytes have come as they do; resolves to how many came, fewer
   * where the peer ended before. Throws `TIMEOUT_IDLE`, `TIMEOUT_SLOW`, and what broke the leg.
   */
  async fill(memory: Buffer, onBytes: (count: number) => void): Promise<number> {
    for (let filled = 0; filled < memory.length; ) {
      const rest = filled > 0 ? memory.subarray(filled) : memory;
      const count = await (this.#rate ? this.#readWithin(this.#rate, rest) : this.#readInto(rest));
      if (count === 0) return filled;
      filled += count;
      onBytes(count);
    }
    return memory.length;
  }

  /** An answer that is here already. */
  readAnswerNow(): Answer | undefined {
    return readHeadNow(this.#leg, this.#decode);
  }

  /**
   * The next answer, whole in `ms`, and no later than patience lasts where the peer owes it, or content with it; null when
   * the peer has ended. Throws as `fill`, `TIMEOUT_HEAD`, and `PEER_PROTOCOL`.
   */
  async readAnswer(ms: number, owed?: 'content' | 'answer'): Promise<Answer | null> {
    if (owed) this.#pace.begin(owed === 'content');
    try {
      return await readHead(this.#leg, this.#decode, { clock: this.#clock, ms });
    } finally {
      this.#pace.end(0);
    }
  }

  #readWithin(rate: RateLimit, memory: Buffer): Promise<number> {
    const read = (allowed: number) => this.#readInto(allowed < memory.length ? memory.subarray(0, allowed) : memory);
    return readWithin(rate, memory.length, this.#signal, read);
  }

  async #readInto(memory: Buffer): Promise<number> {
    this.#pace.begin(true);
    let count = 0;
    try {
      count = await this.#leg.readInto(memory);
    } finally {
      this.#pace.end(count);
    }
    return count;
  }
}
