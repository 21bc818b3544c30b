/**
 * Who may come to a node, by its file of authorized keys: read at the start, and again whenever it has changed.
 *
 * Owns the list that holds now, and ends circuits whose rights it takes away.
 * Invariant: a file that is not there, or not to be trusted, lets nobody in; one with a mistake gives no right to anybody, and
 * takes those of whom it names no more.
 * Rules: docs/security.md#changes
 */

import { type Clock, every } from '../../core/clock.ts';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { Metrics } from '../../core/metrics.ts';
import type { PublicKey } from '../../wire/keys/key.ts';
import { readAuthorizedFile, stampOf } from './authorized-file.ts';
import { type AuthorizedKeys, keyless, mistakes, parseAuthorizedKeys, shorten, stillNamed } from './authorized-keys.ts';
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

/** Between two looks at the file: it must be the same in both before it is read. */
const lookMs = 1000;
/** What is wrong with the file is told again after so many looks. */
const looksBetweenReminders = 60;

export class Authority {
  readonly #options: AuthorityOptions;
  readonly #holders = new Map<string, Holder>();
  #keys: AuthorizedKeys = new Map();
  /** The state of the file that was read last, and that of the last look. */
  #read: string | undefined;
  #seen: string | undefined;
  /** Why the list is not what the file says. */
  #trouble: string | undefined;
  #looks = 0;
  #isClosed = false;
  /** One look or read after the other. */
  #busy: Promise<void> = Promise.resolve();
  #stopLooking = () => {};

  private constructor(options: AuthorityOptions) {
    this.#options = options;
  }

  /** Throws `CONFIG_INVALID` for a file with a mistake. */
  static async open(options: AuthorityOptions): Promise<Authority> {
    const authority = new Authority(options);
    if (options.file === undefined) return authority;
    await authority.#load(options.file, (problems) => {
      throw mistakes(problems);
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

  /** Reads the file again, whether or not it has changed; never rejects. */
  reread(): Promise<void> {
    const { file } = this.#options;
    return file === undefined ? Promise.resolve() : this.#next(() => this.#reload(file));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopLooking();
    await this.#busy;
  }

  #admit(who: string): Grant {
    const { wallClock } = this.#options;
    const holder = this.#holders.get(who);
    const shown = shorten(who);
    if (!holder?.rights) return refusedGrant(shown, whyUnknown(who, shown));
    const expired = whyExpired(shown, holder.rights, wallClock());
    return expired ? refusedGrant(shown, expired) : new CircuitGrant(holder, holder.rights, wallClock);
  }

  /** Every second: ends what has expired, and reads the file if it has changed and stands still. */
  #look(): void {
    const { file, wallClock, log, metrics } = this.#options;
    for (const { who, rights, present } of this.#holders.values()) {
      const expired = present.size > 0 && rights && whyExpired(who, rights, wallClock());
      if (expired) for (const grant of present) grant.revoke(expired);
    }
    this.#looks += 1;
    if (this.#trouble !== undefined && this.#looks % looksBetweenReminders === 0) {
      metrics.countFailure('CONFIG_INVALID');
      log.error({}, `authorized keys are still not in effect: ${this.#trouble}`);
    }
    if (file !== undefined) void this.#next(() => this.#readIfChanged(file));
  }

  /** Never rejects: a defect must not keep the file from being read ever again. */
  #next(work: () => Promise<void>): Promise<void> {
    this.#busy = this.#busy.then(work).catch((error) => this.#complain(asHoplineError(error).message));
    return this.#busy;
  }

  async #readIfChanged(file: string): Promise<void> {
    const stamp = await stampOf(file);
    const isStill = stamp === this.#seen;
    this.#seen = stamp;
    if (isStill && stamp !== this.#read) await this.#reload(file);
  }

  async #reload(file: string): Promise<void> {
    if (this.#isClosed) return;
    await this.#load(file, (problems, text) => {
      const [first] = problems;
      const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
      const kept = text === undefined ? this.#keys : stillNamed(text, this.#keys);
      const dropped = this.#keys.size - kept.size;
      this.#complain(`${first}${more}; the old list goes on${dropped > 0 ? `, without ${dropped} keys` : ''}`);
      return kept;
    });
  }

  /** `onMistakes` says what is in effect where the text is not valid. */
  async #load(
    file: string,
    onMistakes: (problems: readonly string[], text: string | undefined) => AuthorizedKeys,
  ): Promise<void> {
    const { log } = this.#options;
    const read = await readAuthorizedFile(file);
    this.#read = read.stamp;
    if (read.kind === 'closed') {
      this.#complain(`${read.problem}; nobody is let in`);
      return this.#putInEffect(new Map());
    }
    if (read.kind === 'invalid') return this.#putInEffect(onMistakes([read.problem], read.text));
    try {
      const keys = parseAuthorizedKeys(read.text, file, this.#keys);
      this.#trouble = undefined;
      this.#putInEffect(keys);
      log.info({ keys: keys.size }, 'authorized keys read');
    } catch (error) {
      if (!(error instanceof HoplineError)) throw error;
      this.#putInEffect(onMistakes(error.problems ?? [error.message], read.text));
    }
  }

  #complain(trouble: string): void {
    this.#trouble = trouble;
    this.#options.metrics.countFailure('CONFIG_INVALID');
    this.#options.log.error({}, `authorized keys: ${trouble}`);
  }

  #putInEffect(keys: AuthorizedKeys): void {
    this.#keys = keys;
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
