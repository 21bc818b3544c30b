/**
 * The servers that registered here: how many may, and which of them goes when there are too many, or after a while.
 *
 * Owns the shares of addresses, and the order in which servers that never answered a check were last heard of. Does not
 * know what a pool is, or who may register.
 * A server that answered once keeps its place. Any other is the word of a peer, which may register thousands that are
 * not there; of these the one that was silent for longest gives way.
 * Invariant: every registration holds one share, until it is forgotten.
 * Documentation: docs/pools.md#registration
 */

import type { Clock } from '../../core/clock.ts';
import { asHoplineError, type HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import { Budget, type GiveBack, limitNamed, ownerOf } from '../../core/work/budget.ts';
import type { Member } from '../../pool/member.ts';
import type { Grant } from '../authority/grant.ts';

export interface Registration {
  readonly pool: string;
  /** What it is called there. */
  readonly name: string;
  readonly member: Member;
  /** What other nodes are to know of it. */
  readonly form: string;
  /** What the server's key allows, where it registered by one: the registration ends with it. */
  readonly grant?: Grant | undefined;
}

/** Limits are asked for whenever they are needed: they may change. */
export interface RegistrationsOptions {
  readonly limits: Pick<Limits, 'maxRegistered' | 'maxPeerRegistered' | 'forgetMs' | 'forgetNewMs'>;
  readonly clock: Clock;
}

interface Entry extends Registration {
  readonly owner: string;
  readonly giveBack: GiveBack;
  /** When it registered last. */
  heard: number;
  /** Whether a check has found nobody there. */
  hasFailed: boolean;
}

/** Nobody gives way before: else whoever registers thousands would have all of them come and go. */
const patienceMs = 1000;

export class Registrations {
  readonly #options: RegistrationsOptions;
  readonly #forget: (registration: Registration, why?: HoplineError) => void;
  readonly #budget: Budget;
  readonly #entries = new Map<string, Entry>();
  /** Those that never answered, in the order in which they were last heard of. */
  readonly #unproven = new Map<string, Entry>();

  /** `forget` is called for each that is forgotten, with the reason where its right was taken away. */
  constructor(options: RegistrationsOptions, forget: (registration: Registration, why?: HoplineError) => void) {
    this.#options = options;
    this.#forget = forget;
    const limits = () => options.limits;
    this.#budget = new Budget({
      code: 'LIMIT_MEMBERS',
      what: 'registered servers',
      perOwner: limitNamed('maxPeerRegistered', limits),
      inAll: limitNamed('maxRegistered', limits),
    });
  }

  find(pool: string, name: string): Registration | undefined {
    return this.#entries.get(keyOf(pool, name));
  }

  /** Enters a server, or hears of it again. Throws `LIMIT_MEMBERS`. */
  enter(registration: Registration): void {
    const { pool, name, member } = registration;
    const key = keyOf(pool, name);
    const known = this.#entries.get(key);
    const { owner, giveBack } = known ?? this.#takeShare(ownerOf(member.hop.host));
    known?.grant?.leave();
    registration.grant?.endWith({ reset: (why) => this.#revoke(key, why) });
    const entry = {
      hasFailed: false,
      ...known,
      ...registration,
      grant: registration.grant,
      owner,
      giveBack,
      heard: this.#options.clock.now(),
    };
    this.#entries.set(key, entry);
    if (known && !this.#unproven.delete(key)) return;
    this.#unproven.set(key, entry);
  }

  /** A server has answered a check. */
  prove(pool: string, name: string): void {
    this.#unproven.delete(keyOf(pool, name));
  }

  /** A check has found a server down, which it has been for `downMs`; it is forgotten if that is too long. */
  fail(pool: string, name: string, downMs: number): void {
    const entry = this.#entries.get(keyOf(pool, name));
    if (!entry) return;
    const { limits } = this.#options;
    entry.hasFailed = true;
    if (this.#unproven.has(keyOf(pool, name)) ? this.#isStale(entry) : downMs >= limits.forgetMs) this.#drop(entry);
  }

  /** Forgets a server that is not there, so that another can come. Says whether there was one. */
  makeRoom(isFit: (entry: Entry) => boolean): boolean {
    for (const entry of this.#unproven.values()) {
      // All that follow were heard of later.
      if (this.#silentMs(entry) < patienceMs) return false;
      if ((!entry.hasFailed && !this.#isStale(entry)) || !isFit(entry)) continue;
      this.#drop(entry);
      return true;
    }
    return false;
  }

  #takeShare(owner: string): { readonly owner: string; readonly giveBack: GiveBack } {
    for (;;) {
      try {
        return { owner, giveBack: this.#budget.take(owner) };
      } catch (error) {
        const { reason } = asHoplineError(error);
        const isOwn = reason === 'maxPeerRegistered';
        if (!this.makeRoom((entry) => !isOwn || entry.owner === owner)) throw error;
      }
    }
  }

  #isStale(entry: Entry): boolean {
    return this.#silentMs(entry) >= this.#options.limits.forgetNewMs;
  }

  #silentMs({ heard }: Entry): number {
    return this.#options.clock.now() - heard;
  }

  #revoke(key: string, why: HoplineError): void {
    const entry = this.#entries.get(key);
    if (entry) this.#drop(entry, why);
  }

  #drop(entry: Entry, why?: HoplineError): void {
    const key = keyOf(entry.pool, entry.name);
    this.#entries.delete(key);
    this.#unproven.delete(key);
    entry.giveBack();
    entry.grant?.leave();
    this.#forget(entry, why);
  }
}

/** A name has no space in it. */
function keyOf(pool: string, name: string): string {
  return `${name} ${pool}`;
}
