/**
 * The active checks of a pool: each member is asked again and again whether it is well.
 *
 * Owns the timers and the checks under way. What is asked is a function that is
 * passed in; what follows from the answer, a member's health knows.
 * Invariant: once the signal has aborted and `settled()` has settled, no timer and no check is left.
 */

import { type Clock, untilAborted, withDeadline } from '../core/clock.ts';
import { asHoplineError, HoplineError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { toAbortSignal } from '../core/signal.ts';
import { Tasks } from '../core/work/tasks.ts';
import type { Turns } from '../core/work/turns.ts';
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
  /** Whether it is known by more than its own word: it was named by others, or has passed a check. */
  isProven: boolean;
  /** Why the last attempt or check that failed did so. */
  trouble: string | undefined;
  /** Checks that it failed in a row. */
  failures: number;
}

/** How members that have not passed a check yet are checked, and whoever wants to know of them. */
export interface Probation {
  /** So many of these checks are under way at once, in turn by host. */
  readonly turns: Turns;
  /** One has passed its first check. */
  readonly onProven: (name: string) => void;
}

export interface ChecksOptions {
  readonly pool: string;
  readonly probe: Probe;
  readonly rule: HealthRule;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly probation?: Probation | undefined;
  /** Told of each check that a member failed while it was down, its first one included. */
  readonly onDown?: ((name: string, downMs: number) => void) | undefined;
  /** Ends all checks. */
  readonly signal: AbortSignal;
}

/** One that was never well is checked every 16 intervals in the end. */
const maxDoublings = 4;

export class Checks {
  readonly #options: ChecksOptions;
  /** Cancels the timer of each member that is checked; nothing to cancel while its check is under way. */
  readonly #timers = new Map<Checked, (() => void) | undefined>();
  readonly #running = new Tasks();

  constructor(options: ChecksOptions) {
    this.#options = options;
    const stopAll = () => {
      for (const checked of [...this.#timers.keys()]) this.stop(checked);
    };
    options.signal.addEventListener('abort', stopAll, { once: true });
  }

  /** Whoever has just come counts as well, and is checked after an interval; at once if only it says that it is there. */
  start(checked: Checked): void {
    this.#timers.set(checked, undefined);
    this.#schedule(checked, checked.isProven ? this.#interval() : 0);
  }

  stop(checked: Checked): void {
    this.#timers.get(checked)?.();
    this.#timers.delete(checked);
  }

  /** Checks now, unless a check is under way. One that was never well must wait: it may ask for this as often as it likes. */
  hurry(checked: Checked): void {
    const cancel = this.#timers.get(checked);
    if (!cancel || !checked.isProven) return;
    cancel();
    this.#run(checked);
  }

  /** Settles when no check is under way; never rejects. */
  settled(): Promise<void> {
    return this.#running.over();
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
      const isWell = checked.isProven && checked.health.downSince === undefined;
      if (isWell && sinceServed < this.#interval()) this.#schedule(checked, rule.intervalMs - sinceServed);
      else this.#run(checked);
    };
    this.#timers.set(checked, clock.after(ms, due));
  }

  #run(checked: Checked): void {
    this.#timers.set(checked, undefined);
    this.#running.add(this.#takeTurn(checked));
  }

  /** Members that only say so themselves may be thousands that are not there. */
  async #takeTurn(checked: Checked): Promise<void> {
    const { probation, signal } = this.#options;
    if (checked.isProven || !probation) return this.#check(checked);
    const endTurn = await probation.turns.take({ owner: checked.member.hop.host, signal }).catch(() => undefined);
    try {
      if (endTurn && this.#timers.has(checked)) await this.#check(checked);
    } finally {
      endTurn?.();
    }
  }

  async #check(checked: Checked): Promise<void> {
    const { clock, log, pool, probe, rule, signal, probation, onDown } = this.#options;
    const late = () => new HoplineError('TIMEOUT_CONNECT', `no answer to a check within ${rule.timeoutMs / 1000} s`);
    let told: MemberLoad | undefined;
    const tell = (load: MemberLoad) => {
      told = load;
    };
    const deadline = { clock, ms: rule.timeoutMs, late, outer: signal };
    const passed = withDeadline(deadline, (due) => untilAborted(probe(checked.member, toAbortSignal(due), tell), due));
    const failure = await passed.then(() => undefined, asHoplineError);
    if (!this.#timers.has(checked)) return;
    checked.load = told;
    const hasChanged = checked.health.checked(failure === undefined, clock.now());
    const isFirst = failure === undefined && !checked.isProven;
    const fields = { pool, member: checked.name };
    if (hasChanged && failure) log.warn({ ...fields, code: failure.code }, `member is down: ${failure.message}`);
    else if (hasChanged) log.info(fields, 'member is back');
    checked.isProven ||= isFirst;
    if (failure) checked.trouble = failure.message;
    checked.failures = failure ? checked.failures + 1 : 0;
    this.#schedule(checked, this.#interval() * (checked.isProven ? 1 : 2 ** Math.min(checked.failures, maxDoublings)));
    if (isFirst) probation?.onProven(checked.name);
    const { downSince } = checked.health;
    if (downSince !== undefined) onDown?.(checked.name, clock.now() - downSince);
  }
}
