/**
 * Passwords that clients come with: whether each is its user's, at a cost that is bounded.
 *
 * To judge a password takes a fifth of a second and 32 MiB on purpose, so one is judged at a time, addresses in turn; each
 * has a few, and one that failed counts for a while longer. A password that was right once is known by its digest.
 * Invariant: a user who is not there costs what a wrong password costs; the same password at once is judged once.
 */

import { type Clock, withDeadline } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import { Budget, limitNamed, ownerOf } from '../../core/work/budget.ts';
import { Turns } from '../../core/work/turns.ts';
import { isPassword, noPasswordHash } from './password-hash.ts';
import type { KeyedDigest, User, Users } from './secret-lines.ts';

export interface LoginsOptions {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly digest: KeyedDigest;
}

export interface Login {
  readonly name: string;
  readonly password: string;
  /** The address that it came from. */
  readonly client: string;
}

export class Logins {
  readonly #options: LoginsOptions;
  readonly #budget: Budget;
  readonly #turns = new Turns(1);
  readonly #underWay = new Map<string, Promise<User | undefined>>();
  /** What ends the time for which failed ones count. */
  readonly #failed = new Set<() => void>();
  readonly #nobody = noPasswordHash();
  #isClosed = false;

  constructor(options: LoginsOptions) {
    this.#options = options;
    const limits = () => options.limits;
    this.#budget = new Budget({
      code: 'LIMIT_REQUESTS',
      what: 'logins',
      perOwner: limitNamed('maxPeerLogins', limits),
      inAll: limitNamed('maxLogins', limits),
    });
  }

  /** The user, if that is the password. Throws `LIMIT_REQUESTS` where it cannot be judged now. */
  async judge(login: Login, users: Users): Promise<User | undefined> {
    const name = login.name.normalize('NFC');
    const id = this.#options.digest(`${name}:${login.password}`);
    const user = users.get(name);
    if (user?.proven === id) return user;
    // Two sites may have other users of that name.
    const key = `${id} ${user?.line}`;
    const known = this.#underWay.get(key);
    if (known) return known;
    const judging = this.#judge(login, user, id).finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, judging);
    return judging;
  }

  /** Leaves no timer behind. */
  close(): void {
    this.#isClosed = true;
    for (const forget of [...this.#failed]) forget();
  }

  async #judge({ password, client }: Login, user: User | undefined, id: string): Promise<User | undefined> {
    const owner = ownerOf(client);
    const giveBack = this.#budget.take(owner);
    let isRight = false;
    try {
      const endTurn = await this.#takeTurn(owner);
      try {
        isRight = (await isPassword(password, user?.password ?? this.#nobody)) && user !== undefined;
      } finally {
        endTurn();
      }
      if (!user || !isRight) return undefined;
      user.proven = id;
      return user;
    } finally {
      if (isRight || this.#isClosed) giveBack();
      else this.#giveBackLater(giveBack);
    }
  }

  #takeTurn(owner: string): Promise<() => void> {
    const { limits, clock } = this.#options;
    const late = () =>
      new HoplineError('LIMIT_REQUESTS', `a login found no turn for ${limits.httpPlaceMs / 1000} s`, {
        reason: 'httpPlaceMs',
      });
    return withDeadline({ clock, ms: limits.httpPlaceMs, late }, (signal) => this.#turns.take({ owner, signal }));
  }

  #giveBackLater(giveBack: () => void): void {
    const forget = () => {
      this.#failed.delete(forget);
      cancel();
      giveBack();
    };
    const cancel = this.#options.clock.after(this.#options.limits.loginFailedMs, forget);
    this.#failed.add(forget);
  }
}
