/**
 * The slots of a node's uploads: who holds one, and who gives way.
 *
 * A slot is held by bytes that arrive, not by a connection that is open: whoever brings none for `stallMs` loses it, and
 * where another upload waits for one, so does whoever falls behind `minUploadRateBytes`, the one farthest behind first.
 * Knows nothing about files. Invariant: at most `maxUploads` slots are held, and at most `maxPeerUploads` by one peer;
 * what the node itself does for an upload is not held against it.
 */

import { type Clock, pause } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import { OwnSignal } from '../../core/signal.ts';
import { Budget, limitNamed } from '../../core/work/budget.ts';

/** Ends the circuit of whoever holds a slot. Must not throw. */
export type EndUpload = (reason: HoplineError) => void;

/** How far an upload counts as ahead of the rate at most, and as behind it. */
const maxLeadMs = 2000;

export class UploadSlots {
  /** Those in effect now. */
  limits: Limits;
  readonly #clock: Clock;
  readonly #budget: Budget;
  readonly #held = new Set<UploadSlot>();
  /** Aborts when a slot has become free. */
  #freed = new OwnSignal();

  constructor(limits: Limits, clock: Clock) {
    this.limits = limits;
    this.#clock = clock;
    const current = () => this.limits;
    this.#budget = new Budget({
      code: 'LIMIT_UPLOADS',
      what: 'uploads',
      perOwner: limitNamed('maxPeerUploads', current),
      inAll: limitNamed('maxUploads', current),
    });
  }

  /** Takes a slot for `owner`, once there is one. Throws `LIMIT_UPLOADS` if all who hold one go on working. */
  async take(owner: string, end: EndUpload): Promise<UploadSlot> {
    const { yieldMs } = this.limits;
    const untilMs = this.#clock.now() + 2 * yieldMs;
    while (!this.#budget.has(owner)) {
      const now = this.#clock.now();
      const last = this.#lastOf(owner);
      if (last && last.yieldsAtMs <= now) {
        last.lose(`it brought too little for ${yieldMs} ms while others waited`);
        continue;
      }
      if (now >= untilMs) break;
      await pause(this.#clock, Math.min(last?.yieldsAtMs ?? untilMs, untilMs) - now, this.#freed);
    }
    const giveBack = this.#budget.take(owner);
    const slot = new UploadSlot(owner, this.limits, this.#clock, end, () => {
      this.#held.delete(slot);
      giveBack();
      this.#freed.abort();
      this.#freed = new OwnSignal();
    });
    this.#held.add(slot);
    return slot;
  }

  /** Who has to give way to `owner`: of its own uploads if it has its share, else of all. */
  #lastOf(owner: string): UploadSlot | undefined {
    const hasShare = this.#budget.heldBy(owner) >= this.limits.maxPeerUploads;
    const held = [...this.#held].filter((slot) => !hasShare || slot.owner === owner);
    return held.reduce<UploadSlot | undefined>(
      (last, slot) => (last && last.yieldsAtMs <= slot.yieldsAtMs ? last : slot),
      undefined,
    );
  }
}

export class UploadSlot {
  readonly owner: string;
  readonly #limits: Limits;
  readonly #clock: Clock;
  readonly #end: EndUpload;
  readonly #release: () => void;
  /** Until when the bytes that came last at the rate that an upload must have. */
  #coveredMs: number;
  #movedMs: number;
  #works = 0;
  #isReleased = false;
  #cancelWatch: () => void;

  constructor(owner: string, limits: Limits, clock: Clock, end: EndUpload, release: () => void) {
    this.owner = owner;
    this.#limits = limits;
    this.#clock = clock;
    this.#end = end;
    this.#release = release;
    this.#movedMs = clock.now();
    this.#coveredMs = this.#movedMs;
    this.#cancelWatch = this.#watch(limits.stallMs);
  }

  /** From when on it has to give way. */
  get yieldsAtMs(): number {
    return this.#works > 0 ? Number.POSITIVE_INFINITY : this.#coveredMs + this.#limits.yieldMs;
  }

  /** So many bytes of content have come. */
  moved(bytes: number): void {
    const now = this.#clock.now();
    const coveredMs = Math.max(this.#coveredMs, now - maxLeadMs) + (bytes * 1000) / this.#limits.minUploadRateBytes;
    this.#coveredMs = Math.min(coveredMs, now + maxLeadMs);
    this.#movedMs = now;
  }

  /** The node is at work on something: until then the client need not bring anything. */
  async during<T>(work: Promise<T>): Promise<T> {
    const beganMs = this.#clock.now();
    this.#works += 1;
    try {
      return await work;
    } finally {
      const now = this.#clock.now();
      this.#works -= 1;
      this.#movedMs = now;
      this.#coveredMs = Math.min(this.#coveredMs + now - beganMs, now + maxLeadMs);
    }
  }

  /** Ends its circuit; the slot is free at once. */
  lose(why: string): void {
    this.release();
    this.#end(new HoplineError('TIMEOUT_IDLE', `the upload was ended: ${why}`));
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#cancelWatch();
    this.#release();
  }

  #watch(ms: number): () => void {
    return this.#clock.after(ms, () => {
      const { stallMs } = this.#limits;
      const leftMs = (this.#works > 0 ? this.#clock.now() : this.#movedMs) + stallMs - this.#clock.now();
      if (leftMs <= 0) this.lose(`no byte of it came for ${stallMs / 1000} s`);
      else this.#cancelWatch = this.#watch(leftMs);
    });
  }
}
