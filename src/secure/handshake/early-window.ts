/**
 * Which first messages may be answered at once: those that are new for certain.
 *
 * A first message can be sent again by whoever saw it. What it asks for is then sent to nobody who could read it, but it is
 * work; so it is answered before the client has shown that it is there only if it was made just now and did not come before.
 * Invariant: of all copies of a message at most one is early in one process, also when clocks are wrong or are set; memory is bounded.
 * Documentation: docs/protocol/encryption.md#replay
 */

import type { Clock } from '../../core/clock.ts';

export interface EarlyWindowOptions {
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
  /** Milliseconds that a message's time may differ from this machine's. */
  readonly earlyMs: number;
  /** Messages that are remembered. */
  readonly maxEarly: number;
}

export class EarlyWindow {
  readonly #options: EarlyWindowOptions;
  readonly #startedAt: number;
  /** What the wall clock was ahead of the other one at most: it may be set back, and time does not. */
  #ahead = Number.NEGATIVE_INFINITY;
  #recent = new Set<string>();
  #older = new Set<string>();
  #swappedAt: number;

  constructor(options: EarlyWindowOptions) {
    this.#options = options;
    this.#startedAt = options.wallClock();
    this.#swappedAt = options.clock.now();
  }

  /** Whether a message that has authenticated, made at `time`, is new; `ephemeral` is in no other. */
  admit(ephemeral: Buffer, time: number): boolean {
    const { clock, wallClock, earlyMs, maxEarly } = this.#options;
    const [now, wall] = [clock.now(), wallClock()];
    this.#ahead = Math.max(this.#ahead, wall - now);
    this.#forget(now);
    const floor = Math.max(this.#startedAt, now + this.#ahead - earlyMs);
    if (!(Math.abs(time - wall) <= earlyMs) || time <= floor) return false;
    const name = ephemeral.toString('base64');
    if (this.#recent.has(name) || this.#older.has(name)) return false;
    if (this.#recent.size + this.#older.size >= maxEarly) return false;
    this.#recent.add(name);
    return true;
  }

  /** Each is kept for as long as its time can be right, and at most twice that. */
  #forget(now: number): void {
    const keptMs = 2 * this.#options.earlyMs;
    if (now - this.#swappedAt < keptMs) return;
    this.#older = now - this.#swappedAt < 2 * keptMs ? this.#recent : new Set();
    this.#recent = new Set();
    this.#swappedAt = now;
  }
}
