/**
 * One attempt of a request at one member of a pool: under way there until it has succeeded or failed.
 *
 * Does not know what the request is, or who is tried next.
 * Invariant: an attempt ends once, and what it tells of its member it tells then.
 */

import type { Clock } from '../core/clock.ts';
import { asHoplineError, HoplineError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Signal } from '../core/signal.ts';
import type { Member } from './member.ts';
import type { Slot } from './pick.ts';

export interface AttemptSetup {
  /** Of the pool. */
  readonly name: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Whether a failure is the member's, so that it counts against it and another one is tried. @default all are */
  readonly isOfMember?: ((failure: HoplineError) => boolean) | undefined;
}

export class Attempt {
  readonly member: Member;
  /** The member's. */
  readonly name: string;
  readonly #slot: Slot;
  readonly #setup: AttemptSetup;
  readonly #signal: Signal | undefined;
  readonly #began: number;
  #isCommitted = false;

  /** Once `signal` aborts, whoever asked has gone: no failure after that is the member's. */
  constructor(slot: Slot, setup: AttemptSetup, signal: Signal | undefined) {
    this.member = slot.member;
    this.name = slot.name;
    this.#slot = slot;
    this.#setup = setup;
    this.#signal = signal;
    this.#began = setup.clock.now();
    slot.inFlight += 1;
    slot.requests += 1;
  }

  /** From now on the request cannot be repeated, since a part of it may have had an effect. */
  commit(): void {
    this.#isCommitted = true;
  }

  /** Ends it; `isCheck` is whether this is as good as a check that passed. */
  succeeded(isCheck = true): void {
    this.#slot.inFlight -= 1;
    this.#slot.health.served(this.#setup.clock.now(), isCheck);
  }

  /** Ends it, counts what is the member's failure, and says whether another member may be tried. Throws the signal's reason. */
  failed(error: unknown): boolean {
    this.#slot.inFlight -= 1;
    if (this.#signal?.aborted) throw this.#signal.reason;
    const { name: pool, clock, log, isOfMember = () => true } = this.#setup;
    const { code, message } = asHoplineError(error);
    // An exception without a code of ours is a mistake in this process, and would come with any member.
    if (!(error instanceof HoplineError) || !isOfMember(error)) {
      log.warn({ pool, member: this.name, code }, `a request failed, not because of its member: ${message}`);
      return false;
    }
    this.#slot.failed += 1;
    this.#slot.trouble = message;
    const ejected = this.#slot.health.failed(this.#began, clock.now());
    log.warn({ pool, member: this.name, code, ejected }, `a request failed: ${message}`);
    return !this.#isCommitted;
  }
}
