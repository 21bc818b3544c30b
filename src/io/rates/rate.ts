/**
 * How fast bytes may pass: a token bucket, which one user has alone or several share.
 *
 * Owns the tokens and the queue of those who wait for some. Knows nothing about
 * sockets: whoever moves bytes asks before it does. Where nothing is limited
 * there is no RateLimit at all, so that this costs nothing.
 *
 * Who waits has its turn in order, with an equal share of what there is, and goes
 * to the end of the queue for more: nobody starves, however greedy the others are.
 * Invariant: never grants more than the burst and what the time since has brought.
 */

import type { Clock } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import type { Signal } from '../../core/signal.ts';

/** Below this, a second brings less than a segment. */
const minBytesPerSecond = 1024;
const burstMs = 100;
/** The first block of a leg: what is asked for in one go is then mostly granted in one go. */
const minBurstBytes = 16 * 1024;
/** About a segment: less than that, unless no more is wanted, costs more in calls than it carries. */
const minGrantBytes = 1460;
/** Between two turns of the queue: rare enough to cost nothing, often enough to look smooth. */
const turnMs = 10;

/** The limits of one circuit; where there is none, bytes pass as fast as they come. */
export interface Rates {
  /** From the client to the origin. */
  readonly forward?: RateLimit | undefined;
  /** From the origin to the client. */
  readonly back?: RateLimit | undefined;
}

interface Waiting {
  readonly wanted: number;
  readonly ready: (granted: number) => void;
}

export class RateLimit {
  readonly #bytesPerSecond: number;
  readonly #clock: Clock;
  #shared: RateLimit | undefined;
  readonly #burst: number;
  readonly #queue: Waiting[] = [];
  #tokens: number;
  #filledAt: number;
  #cancelTurn: (() => void) | undefined;

  /**
   * A limit that begins with its whole burst. With `shared`, bytes have to pass under that as well, and this one is for
   * one user alone. Throws `USAGE_INVALID` for a rate that is not one.
   */
  constructor(bytesPerSecond: number, clock: Clock, shared?: RateLimit) {
    checkRate(bytesPerSecond);
    this.#bytesPerSecond = bytesPerSecond;
    this.#clock = clock;
    this.#shared = shared;
    this.#burst = Math.max(minBurstBytes, (bytesPerSecond * burstMs) / 1000);
    this.#tokens = this.#burst;
    this.#filledAt = clock.now();
  }

  /** From now on, bytes pass under this one in place of the one that was shared before. */
  passUnder(shared: RateLimit | undefined): void {
    this.#shared = shared;
  }

  /** Bytes that pass in about a tenth of a second; who holds no more than that passes them on smoothly. */
  get burstBytes(): number {
    return Math.floor(this.#burst);
  }

  /** How many of `wanted` bytes may pass at once; 0 when it is worth waiting for more, or others wait already. */
  grant(wanted: number): number {
    const granted = this.#grantOwn(wanted);
    if (granted === 0 || !this.#shared) return granted;
    const shared = this.#shared.grant(granted);
    this.#refund(granted - shared);
    return shared;
  }

  /** Takes back what was granted and not used. */
  giveBack(bytes: number): void {
    this.#refund(bytes);
    this.#shared?.giveBack(bytes);
  }

  /** Calls `ready` once, and never before it returns, with how many of `wanted` bytes may pass; the function returned cancels. */
  wait(wanted: number, ready: (granted: number) => void): () => void {
    const shared = this.#shared;
    if (!shared) return this.#enqueue(wanted, ready);
    let cancel: () => void;
    const waitForShared = (own: number) => {
      const cancelShared = shared.wait(own, (granted) => {
        this.#refund(own - granted);
        ready(granted);
      });
      cancel = () => {
        cancelShared();
        this.#refund(own);
      };
    };
    const own = this.#grantOwn(wanted);
    if (own > 0) waitForShared(own);
    else cancel = this.#enqueue(wanted, waitForShared);
    return () => cancel();
  }

  /** Waits until some of `wanted` bytes may pass; resolves to how many. Throws the signal's reason. */
  async allow(wanted: number, signal: Signal): Promise<number> {
    signal.throwIfAborted();
    return this.grant(wanted) || this.#allowLater(wanted, signal);
  }

  #allowLater(wanted: number, signal: Signal): Promise<number> {
    return new Promise((resolve, reject) => {
      const abort = () => {
        cancel();
        reject(signal.reason);
      };
      const cancel = this.wait(wanted, (granted) => {
        signal.removeEventListener('abort', abort);
        resolve(granted);
      });
      signal.addEventListener('abort', abort, { once: true });
    });
  }

  #grantOwn(wanted: number): number {
    if (this.#queue.length > 0) return 0;
    this.#fill();
    return this.#take(wanted, this.#tokens);
  }

  #enqueue(wanted: number, ready: (granted: number) => void): () => void {
    const waiting = { wanted, ready };
    this.#queue.push(waiting);
    this.#awaitTurn();
    return () => {
      const place = this.#queue.indexOf(waiting);
      if (place >= 0) this.#queue.splice(place, 1);
      if (this.#queue.length > 0) return;
      this.#cancelTurn?.();
      this.#cancelTurn = undefined;
    };
  }

  #awaitTurn(): void {
    const [first] = this.#queue;
    if (!first || this.#cancelTurn) return;
    this.#fill();
    const missing = Math.min(first.wanted, minGrantBytes) - this.#tokens;
    const ms = Math.max(turnMs, Math.ceil((missing * 1000) / this.#bytesPerSecond));
    this.#cancelTurn = this.#clock.after(ms, () => this.#turn());
  }

  /** Serves those who wait now, each at most once. */
  #turn(): void {
    this.#cancelTurn = undefined;
    this.#fill();
    const share = Math.max(minGrantBytes, this.#tokens / this.#queue.length);
    for (let due = this.#queue.length; due > 0; due -= 1) {
      const [first] = this.#queue;
      const granted = first ? this.#take(first.wanted, share) : 0;
      if (granted === 0) break;
      this.#queue.shift()?.ready(granted);
    }
    this.#awaitTurn();
  }

  /** All that is wanted, or at least `minGrantBytes`, or nothing. */
  #take(wanted: number, share: number): number {
    const granted = Math.floor(Math.min(wanted, share, this.#tokens));
    if (granted < Math.min(wanted, minGrantBytes)) return 0;
    this.#tokens -= granted;
    return granted;
  }

  #refund(bytes: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + bytes);
  }

  #fill(): void {
    const now = this.#clock.now();
    this.#refund(((now - this.#filledAt) * this.#bytesPerSecond) / 1000);
    this.#filledAt = now;
  }
}

/** Throws `USAGE_INVALID` unless it is a number of bytes a second that bytes can be moved at. */
export function checkRate(bytesPerSecond: number): void {
  if (bytesPerSecond >= minBytesPerSecond && Number.isFinite(bytesPerSecond)) return;
  throw new HoplineError(
    'USAGE_INVALID',
    `read ${bytesPerSecond} bytes a second, expected a rate from ${minBytesPerSecond}`,
  );
}
