/**
 * What one circuit may do, by the rights of whoever it is: asked anew for each request, since they may change.
 *
 * Owns when a circuit counts: once its client has shown that it is there, and until it ends.
 * Invariant: what does not hold any more ends the circuit; of a client that has not shown that it is there nothing is counted.
 */

import { HoplineError } from '../../core/errors.ts';
import type { Rates } from '../../io/rates/rate.ts';
import { plainName } from '../../wire/globs.ts';
import { allRights, noRights, type Rights } from './rights.ts';

export interface Grant {
  /** For logs: a key's beginning, `anonymous` or `plain`; undefined where nobody is asked who they are. */
  readonly who: string | undefined;
  readonly rights: Rights;
  /** Whether nothing may be asked but whether the node is there. */
  readonly isRefused: boolean;
  /** Must be called once, before anything is asked. */
  hold(circuit: GrantedCircuit): void;
  /** In place of `hold`, for a registration, which is no circuit and does not count as one. */
  endWith(registration: Revocable): void;
  /** The client has shown that it is there: from now on the circuit counts. */
  confirm(): void;
  /** The circuit has ended. */
  leave(): void;
  /** Throws `AUTH_REQUIRED`, `AUTH_DENIED` or `LIMIT_CONNECTIONS` where nothing may be asked any more. */
  check(): void;
  /** Throws `AUTH_DENIED`, and as `check`, unless `name` may be read, or leads to what may. */
  checkRead(name: string): void;
  /** Throws `AUTH_DENIED`, and as `check`, unless `name` may be written. */
  checkWrite(name: string): void;
  /** Throws `AUTH_DENIED`, and as `check`, unless a server may register for `pool`. */
  checkRegister(pool: string): void;
}

/** What a grant is for: what ends when it is taken away. */
export interface Revocable {
  /** Ends it at once, and tells its client nothing. */
  reset(reason: HoplineError): void;
}

export interface GrantedCircuit extends Revocable {
  /** Wakes it where it waits for a request, so that it is refused. */
  wake(reason: HoplineError): void;
  /** Its own limits; those of all circuits of the key come above them. */
  readonly rates: Rates | undefined;
  /** The limits of all circuits of a key, which `owner` stands for. */
  ratesOf(owner: object, bytesPerSecond: number): Rates;
}

/** Where nobody is asked who they are. */
export const unlimitedGrant: Grant = {
  who: undefined,
  rights: allRights,
  isRefused: false,
  hold() {},
  endWith() {},
  confirm() {},
  leave() {},
  check() {},
  checkRead() {},
  checkWrite() {},
  checkRegister() {
    throw new HoplineError('AUTH_DENIED', 'servers register by keys only where there are authorized keys');
  },
};

/** Where nothing may be asked but whether the node is there. */
export function refusedGrant(who: string, reason: HoplineError): Grant {
  const check = () => {
    throw reason;
  };
  return {
    ...unlimitedGrant,
    who,
    rights: noRights,
    isRefused: true,
    check,
    checkRead: check,
    checkWrite: check,
    checkRegister: check,
  };
}

/** One who has rights, and the circuits of theirs. */
export interface Holder {
  /** As logs show it. */
  readonly who: string;
  /** Undefined from when there are none any more. */
  rights: Rights | undefined;
  /** All of its circuits that are here. */
  readonly present: Set<CircuitGrant>;
  /** Those of them that count. */
  readonly counted: Set<CircuitGrant>;
}

export class CircuitGrant implements Grant {
  readonly isRefused = false;
  readonly #holder: Holder;
  readonly #now: () => number;
  /** What held when it began; no right is left once it is over. */
  #last: Rights;
  #circuit: GrantedCircuit | undefined;
  #registration: Revocable | undefined;
  #over: HoplineError | undefined;

  /** `now`: milliseconds since 1970. */
  constructor(holder: Holder, rights: Rights, now: () => number) {
    this.#holder = holder;
    this.#last = rights;
    this.#now = now;
    holder.present.add(this);
  }

  get who(): string {
    return this.#holder.who;
  }

  get rights(): Rights {
    this.#last = this.#holder.rights ?? this.#last;
    return this.#last;
  }

  hold(circuit: GrantedCircuit): void {
    this.#circuit = circuit;
  }

  endWith(registration: Revocable): void {
    this.#registration = registration;
  }

  confirm(): void {
    if (!this.#holder.present.has(this)) return;
    const { maxCircuits = Number.POSITIVE_INFINITY, limitRate } = this.rights;
    if (this.#holder.counted.size >= maxCircuits) {
      const message = `${this.who} has its ${maxCircuits} circuits already (max-circuits)`;
      this.#over ??= new HoplineError('LIMIT_CONNECTIONS', message, { reason: 'maxCircuits' });
      this.#circuit?.wake(this.#over);
      return;
    }
    this.#holder.counted.add(this);
    if (limitRate === undefined || !this.#circuit?.rates) return;
    const { rates, ratesOf } = this.#circuit;
    const { forward, back } = ratesOf(this.#holder, limitRate);
    rates.forward?.passUnder(forward);
    rates.back?.passUnder(back);
  }

  leave(): void {
    this.#holder.present.delete(this);
    this.#holder.counted.delete(this);
  }

  /** Ends the circuit, whatever it is at. */
  revoke(reason: HoplineError): void {
    this.#over = reason;
    this.leave();
    this.#circuit?.reset(reason);
    this.#registration?.reset(reason);
  }

  check(): void {
    if (this.#over) throw this.#over;
    if (!this.#holder.rights) throw new HoplineError('AUTH_DENIED', `${this.who} has no rights any more`);
    const expired = whyExpired(this.who, this.rights, this.#now());
    if (expired) throw expired;
  }

  checkRead(name: string): void {
    this.check();
    const { read } = this.rights;
    if (!read.match(plainName(name)) && !read.leadThrough(plainName(name))) throw nameDenied(this.who, 'read');
  }

  checkWrite(name: string): void {
    this.check();
    if (!this.rights.write.match(plainName(name))) throw nameDenied(this.who, 'write');
  }

  checkRegister(pool: string): void {
    this.check();
    if (this.rights.register.has(pool)) return;
    throw new HoplineError('AUTH_DENIED', `${this.who} may not register for the pool ${JSON.stringify(pool)}`);
  }
}

/** Without the name: what is asked for over a secure circuit stands in no log. */
export function nameDenied(who: string | undefined, what: string): HoplineError {
  return new HoplineError('AUTH_DENIED', `${who} may not ${what} a name that it asked for`);
}

export function whyExpired(who: string, { expires }: Rights, now: number): HoplineError | undefined {
  if (expires === undefined || now < expires) return undefined;
  return new HoplineError('AUTH_DENIED', `${who} has expired at ${new Date(expires).toISOString()}`);
}
