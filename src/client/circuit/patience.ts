/**
 * Judges a peer that owes an answer or its content: one that brings nothing for too long, or too little, is given up.
 *
 * Only the time counts in which somebody waits for the peer. What the client
 * takes for itself, be it for its own limit or a full disk, is not held against anyone.
 * Invariant: gives up once at most, and leaves no timer behind once closed.
 */

import type { Clock } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';

export interface PaceOptions {
  readonly clock: Clock;
  /** How the peer is called in messages. */
  readonly peer: string;
  /** Milliseconds of a wait in which nothing comes. */
  readonly stallMs: number;
  /** Bytes of content a second. @default any */
  readonly minRate: number | undefined;
  /** Milliseconds of waiting for content over which `minRate` is an average. */
  readonly minRateMs: number;
  /** How many bytes have come of what cannot be read before it is whole. @default none ever do */
  readonly partialBytes?: (() => number) | undefined;
  /** Called with the error to fail with: `TIMEOUT_IDLE` or `TIMEOUT_SLOW`. */
  readonly giveUp: (error: HoplineError) => void;
}

interface Wait {
  readonly sinceMs: number;
  readonly isContent: boolean;
}

export class Patience {
  readonly #options: PaceOptions;
  #wait: Wait | undefined;
  /** Of content since the average was begun: waited for, and brought. */
  #waitedMs = 0;
  #bytes = 0;
  /** Of these, what came of something that is not whole. */
  #credited = 0;
  /** Bytes of that when it was looked at last. */
  #partial = 0;
  #isOver = false;
  #cancel: (() => void) | undefined;

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  /** Somebody begins to wait for the peer; `isContent` where it is for content rather than for a lookup of its. */
  begin(isContent: boolean): void {
    if (this.#isOver) return;
    this.#wait = { sinceMs: this.#options.clock.now(), isContent };
    this.#partial = this.#partialBytes();
    // One timer serves many waits: it looks again at what is left when it fires.
    if (!this.#cancel) this.#lookIn(this.#patienceMs(isContent));
  }

  /** Ends the wait, if there is one: so many bytes of content came. */
  end(bytes: number): void {
    if (this.#wait?.isContent) this.#waitedMs += this.#options.clock.now() - this.#wait.sinceMs;
    this.#wait = undefined;
    this.#bytes += Math.max(0, bytes - this.#credited);
    this.#credited = 0;
    this.#judge();
  }

  /** Whether it is slow on average, once there has been time for one. */
  #judge(): void {
    if (this.#waitedMs < this.#options.minRateMs) return;
    if (this.#isSlow(this.#waitedMs)) this.#giveUpSlow(this.#waitedMs);
    this.#waitedMs = 0;
    this.#bytes = 0;
  }

  close(): void {
    this.#isOver = true;
    this.#wait = undefined;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Milliseconds until a wait that begins now is long enough to give up, should nothing come. */
  #patienceMs(isContent: boolean): number {
    const { stallMs, minRate, minRateMs } = this.#options;
    if (minRate === undefined || !isContent) return stallMs;
    return Math.min(stallMs, Math.max(minRateMs, (this.#bytes * 1000) / minRate) - this.#waitedMs);
  }

  #lookIn(ms: number): void {
    this.#cancel = this.#options.clock.after(Math.max(1, Math.ceil(ms)), () => this.#look());
  }

  #look(): void {
    this.#cancel = undefined;
    const { clock, stallMs, peer } = this.#options;
    if (!this.#wait) return;
    if (this.#hasMoved(this.#wait)) {
      if (!this.#isOver) this.#lookIn(this.#patienceMs(this.#wait.isContent));
      return;
    }
    const { sinceMs, isContent } = this.#wait;
    const lastsMs = clock.now() - sinceMs;
    const leftMs = this.#patienceMs(isContent) - lastsMs;
    if (leftMs > 0) this.#lookIn(leftMs);
    else if (lastsMs >= stallMs) {
      this.#giveUp(new HoplineError('TIMEOUT_IDLE', `${peer} brought nothing for ${stallMs / 1000} s`));
    } else this.#giveUpSlow(this.#waitedMs + lastsMs);
  }

  /** Whether some came in this wait of what is not whole: then it is as if the wait had begun anew. */
  #hasMoved({ sinceMs, isContent }: Wait): boolean {
    const came = this.#partialBytes() - this.#partial;
    if (came <= 0) return false;
    const now = this.#options.clock.now();
    this.#partial += came;
    this.#wait = { sinceMs: now, isContent };
    if (!isContent) return true;
    this.#waitedMs += now - sinceMs;
    this.#bytes += came;
    this.#credited += came;
    this.#judge();
    return true;
  }

  #partialBytes(): number {
    return this.#options.partialBytes?.() ?? 0;
  }

  #isSlow(waitedMs: number): boolean {
    const { minRate } = this.#options;
    return minRate !== undefined && (this.#bytes * 1000) / waitedMs < minRate;
  }

  #giveUpSlow(waitedMs: number): void {
    const { peer, minRate } = this.#options;
    const rate = Math.round((this.#bytes * 1000) / waitedMs);
    const seconds = Math.round(waitedMs / 100) / 10;
    const message = `${peer} brought ${rate} bytes a second over ${seconds} s, less than the ${minRate} asked for`;
    this.#giveUp(new HoplineError('TIMEOUT_SLOW', message));
  }

  #giveUp(error: HoplineError): void {
    this.close();
    this.#options.giveUp(error);
  }
}
