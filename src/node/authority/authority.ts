/**
 * Who may come to a node, by its file of authorized keys.
 *
 * Owns the list that holds now, and ends circuits whose rights it takes away.
 * Invariant: a file that is not there, or not to be trusted, lets nobody in; one with a mistake gives no right to anybody, and
 * takes those of whom it names no more.
 * Rules: docs/security.md#changes
 */

import { type Clock, every } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { Metrics } from '../../core/metrics.ts';
import { lookMs, WatchedList } from '../../io/disk/watched/watched-list.ts';
import type { PublicKey } from '../../wire/keys/key.ts';
import {
  type AuthorizedKeys,
  authorizedFileRules,
  keyless,
  parseAuthorizedKeys,
  shorten,
  stillNamed,
} from './authorized-keys.ts';
import { CircuitGrant, type Grant, type Holder, refusedGrant, unlimitedGrant, whyExpired } from './grant.ts';
import { isNarrower, type Rights } from './rights.ts';

export interface AuthorityOptions {
  /** The authorized keys; without, everybody may do everything that encrypts. */
  readonly file: string | undefined;
  /** Whether clients that do not encrypt are refused, whatever the file says. */
  readonly requireKey: boolean;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** For people: who may come, and until when. */
export interface AuthorityReport {
  /** Lines of the file that give rights. */
  readonly keys: number;
  /** When the next of them ends, in milliseconds since 1970. */
  readonly nextExpiry: number | undefined;
  /** Why the list is not what the file says. */
  readonly trouble: string | undefined;
}

export class Authority {
  readonly #options: AuthorityOptions;
  readonly #holders = new Map<string, Holder>();
  #list: WatchedList<AuthorizedKeys> | undefined;
  #stopLooking = () => {};

  private constructor(options: AuthorityOptions) {
    this.#options = options;
  }

  /** Throws `CONFIG_INVALID` for a file with a mistake. */
  static async open(options: AuthorityOptions): Promise<Authority> {
    const authority = new Authority(options);
    const { file, log, metrics } = options;
    if (file === undefined) return authority;
    authority.#list = await WatchedList.open({
      file,
      what: 'authorized keys',
      rules: authorizedFileRules,
      empty: new Map(),
      parse: (text, known) => parseAuthorizedKeys(text, file, known),
      stillNamed,
      putInEffect: (keys) => authority.#putInEffect(keys),
      onTrouble: () => metrics.countFailure('CONFIG_INVALID'),
      log,
    });
    return authority;
  }

  /** Begins to look whether the file has changed, and whose rights have ended. */
  watch(): void {
    this.#stopLooking = every(this.#options.clock, lookMs, () => this.#look());
  }

  /**
   * What a client of a secure circuit may do, by its key if it has one. A key that is unknown is refused each request, as is a
   * name that is not allowed, so that nobody learns which of them it is.
   */
  admit(key: PublicKey | undefined): Grant {
    return this.#options.file === undefined ? unlimitedGrant : this.#admit(key ? key.text : keyless.anonymous);
  }

  /** What a client may do that does not encrypt. */
  admitPlain(): Grant {
    const { file, requireKey } = this.#options;
    if (!requireKey && file !== undefined) return this.#admit(keyless.plain);
    return refusedGrant(keyless.plain, required('the node takes requests over encrypted circuits alone'));
  }

  /** What is in effect. */
  report(): AuthorityReport {
    const now = this.#options.wallClock();
    const keys: AuthorizedKeys = this.#list?.current ?? new Map();
    const ends = [...keys.values()].flatMap(({ expires = 0 }) => (expires > now ? [expires] : []));
    const nextExpiry = ends.length > 0 ? Math.min(...ends) : undefined;
    return { keys: keys.size, nextExpiry, trouble: this.#list?.trouble };
  }

  /** Reads the file again, whether or not it has changed; never rejects. */
  async reread(): Promise<void> {
    await this.#list?.reread();
  }

  async close(): Promise<void> {
    this.#stopLooking();
    await this.#list?.close();
  }

  #admit(who: string): Grant {
    const { wallClock } = this.#options;
    const holder = this.#holders.get(who);
    const shown = shorten(who);
    if (!holder?.rights) return refusedGrant(shown, whyUnknown(who, shown));
    const expired = whyExpired(shown, holder.rights, wallClock());
    return expired ? refusedGrant(shown, expired) : new CircuitGrant(holder, holder.rights, wallClock);
  }

  /** Ends what has expired, and has the file read if it has changed. */
  #look(): void {
    const { wallClock } = this.#options;
    for (const { who, rights, present } of this.#holders.values()) {
      const expired = present.size > 0 && rights && whyExpired(who, rights, wallClock());
      if (expired) for (const grant of present) grant.revoke(expired);
    }
    this.#list?.look();
  }

  #putInEffect(keys: AuthorizedKeys): void {
    for (const [who, holder] of this.#holders) {
      this.#change(holder, keys.get(who));
      if (!holder.rights) this.#holders.delete(who);
    }
    for (const [who, rights] of keys) {
      if (this.#holders.has(who)) continue;
      this.#holders.set(who, { who: shorten(who), rights, present: new Set(), counted: new Set() });
    }
  }

  #change(holder: Holder, rights: Rights | undefined): void {
    const before = holder.rights;
    holder.rights = rights;
    if (rights && before && !isNarrower(rights, before)) return;
    const what = rights ? 'may do less than before' : 'is not among the authorized keys any more';
    for (const grant of holder.present) grant.revoke(new HoplineError('AUTH_DENIED', `${holder.who} ${what}`));
  }
}

function whyUnknown(who: string, shown: string): HoplineError {
  return Object.hasOwn(keyless, who)
    ? required(`authorized keys have no line for clients that are ${who}`)
    : new HoplineError('AUTH_DENIED', `the key ${shown} is not among the authorized keys`);
}

function required(message: string): HoplineError {
  return new HoplineError('AUTH_REQUIRED', message);
}
