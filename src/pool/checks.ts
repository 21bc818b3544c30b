/**
 * The active checks of a pool: each member is asked again and again whether it is well.
 *
 * Owns the timers and the checks under way. What is asked is a function that is
 * passed in; what follows from the answer is health.ts's affair.
 * Invariant: once the signal has aborted and `settled()` has settled, no timer and no check is left.
 */

import { type Clock, startDeadline, untilAborted } from '../core/clock.ts';
import { asHoplineError, HoplineError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Health, HealthRule } from './health.ts';
import type { Member } from './member.ts';

/** Connections that a member has, and has at most. */
export interface MemberLoad {
  readonly open: number;
  readonly max: number;
}

/**
 * Asks a member whether it is fit for requests: settles if it is, rejects if not, and stops when the signal aborts.
 * Passes on what the member tells of its load.
 */
export type Probe = (member: Member, signal: AbortSignal, tell: (load: MemberLoad) => void) => Promise<void>;

export interface Checked {
  readonly name: string;
  readonly member: Member;
  readonly health: Health;
  /** What it told at its last check, if it did. */
  load: MemberLoad | undefined;
}

export interface ChecksOptions {
  readonly pool: string;
  readonly probe: Probe;
  readonly rule: HealthRule;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** Ends all checks. */
  readonly signal: AbortSignal;
}

export class Checks {
  readonly #options: ChecksOptions;
  /** Cancels the timer of each member that is checked; nothing to cancel while its check is under way. */
  readonly #timers = new Map<Checked, (() => void) | undefined>();
  readonly #running = new Set<Promise<void>>();

  constructor(options: ChecksOptions) {
    this.#options = options;
    const stopAll = () => {
      for (const checked of [...this.#timers.keys()]) this.stop(checked);
    };
    options.signal.addEventListener('abort', stopAll, { once: true });
  }

  /** Begins with the first interval: whoever has just come counts as well. */
  start(checked: Checked): void {
    this.#timers.set(checked, undefined);
    this.#schedule(checked, this.#interval());
  }

  stop(checked: Checked): void {
    this.#timers.get(checked)?.();
    this.#timers.delete(checked);
  }

  /** Checks now, unless a check is under way. */
  hurry(checked: Checked): void {
    const cancel = this.#timers.get(checked);
    if (!cancel) return;
    cancel();
    this.#run(checked);
  }

  /** Settles when no check is under way; never rejects. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  #interval(): number {
    const { rule, random } = this.#options;
    return rule.intervalMs * (1 - rule.jitter * random());
  }

  #schedule(checked: Checked, ms: number): void {
    if (!this.#timers.has(checked)) return;
    const { clock, rule } = this.#options;
    const due = () => {
      // An answer was as good as a check; the next is due one interval after it.
      const sinceServed = clock.now() - checked.health.lastServed;
      const isUp = checked.health.downSince === undefined;
      if (isUp && sinceServed < this.#interval()) this.#schedule(checked, rule.intervalMs - sinceServed);
      else this.#run(checked);
    };
    this.#timers.set(checked, clock.after(ms, due));
  }

  #run(checked: Checked): void {
    this.#timers.set(checked, undefined);
    const running = this.#check(checked).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #check(checked: Checked): Promise<void> {
    const { clock, log, pool, probe, rule, signal } = this.#options;
    const late = () => new HoplineError('TIMEOUT_CONNECT', `no answer to a check within ${rule.timeoutMs / 1000} s`);
    const deadline = startDeadline(clock, rule.timeoutMs, late, signal);
    let failure: HoplineError | undefined;
    let told: MemberLoad | undefined;
    const tell = (load: MemberLoad) => {
      told = load;
    };
    try {
      await untilAborted(probe(checked.member, deadline.signal, tell), deadline.signal);
    } catch (error) {
      failure = asHoplineError(error);
    } finally {
      deadline.clear();
    }
    if (!this.#timers.has(checked)) return;
    checked.load = told;
    const hasChanged = checked.health.checked(failure === undefined, clock.now());
    const fields = { pool, member: checked.name };
    if (hasChanged && failure) log.warn({ ...fields, code: failure.code }, `member is down: ${failure.message}`);
    else if (hasChanged) log.info(fields, 'member is back');
    this.#schedule(checked, this.#interval());
  }
}
