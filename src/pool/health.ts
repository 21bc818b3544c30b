/**
 * Whether one member is well: what checks and requests have shown, without a timer or a socket.
 *
 * Down and ejected differ: a check has found a member down, while one that is ejected only failed requests, and is
 * better than none.
 * Documentation: docs/pools.md#health
 */

export interface HealthRule {
  /** Milliseconds without an answer after which a member is checked. */
  readonly intervalMs: number;
  /** Milliseconds for one check. */
  readonly timeoutMs: number;
  /** The share of the interval, 0 to 1, that a check may come early. */
  readonly jitter: number;
  /** Failed checks in a row that take a member down. */
  readonly fall: number;
  /** Passed checks in a row that bring it up. */
  readonly rise: number;
  /** Failed requests in a row that eject a member. */
  readonly ejectAfter: number;
  /** Milliseconds of the first ejection; each further one lasts twice as long. */
  readonly ejectMs: number;
  /** Milliseconds of an ejection at most. */
  readonly maxEjectMs: number;
  /** Milliseconds until a member that was out has its full share again; 0 for at once. */
  readonly slowStartMs: number;
}

export const defaultHealthRule: HealthRule = {
  intervalMs: 1000,
  timeoutMs: 1000,
  jitter: 0.2,
  fall: 1,
  rise: 1,
  ejectAfter: 1,
  ejectMs: 1000,
  maxEjectMs: 60_000,
  slowStartMs: 10_000,
};

/** So much of its turns a member has at least, or it would never show that it is well. */
const leastShare = 0.1;

/** Times are milliseconds on the clock of whoever calls. */
export class Health {
  readonly #rule: HealthRule;
  #downSince: number | undefined;
  #checksInRow = 0;
  #failuresInRow = 0;
  #ejectedAt = Number.NEGATIVE_INFINITY;
  #ejectedUntil = Number.NEGATIVE_INFINITY;
  #ejectedMs = 0;
  #backSince = Number.NEGATIVE_INFINITY;
  /** When it last answered a request. */
  lastServed = Number.NEGATIVE_INFINITY;

  constructor(rule: HealthRule) {
    this.#rule = rule;
  }

  /** Since when checks have found it down; undefined while it is up. */
  get downSince(): number | undefined {
    return this.#downSince;
  }

  isEjected(now: number): boolean {
    return now < this.#ejectedUntil;
  }

  /** The share of its turns that it should have, up to 1. */
  share(now: number): number {
    const { slowStartMs } = this.#rule;
    if (slowStartMs === 0) return 1;
    return Math.min(1, Math.max(leastShare, (now - this.#backSince) / slowStartMs));
  }

  /** Takes the outcome of a check; says whether the member went up or down by it. */
  checked(passed: boolean, now: number): boolean {
    const isUp = this.#downSince === undefined;
    this.#checksInRow = passed === isUp ? 0 : this.#checksInRow + 1;
    if (this.#checksInRow < (isUp ? this.#rule.fall : this.#rule.rise) || passed === isUp) return false;
    this.#checksInRow = 0;
    this.#downSince = isUp ? now : undefined;
    if (!isUp) this.#backSince = now;
    return true;
  }

  /** Takes the success of a request, which may be as good as a check that passed. */
  served(now: number, isCheck: boolean): void {
    this.#failuresInRow = 0;
    if (isCheck) this.lastServed = now;
    if (isCheck && this.#downSince === undefined) this.#checksInRow = 0;
    if (now - this.#ejectedUntil >= this.#ejectedMs) this.#ejectedMs = 0;
  }

  /** Takes the failure of a request that began at `began`; says whether the member was ejected for it. */
  failed(began: number, now: number): boolean {
    if (began < this.#ejectedAt || this.isEjected(now)) return false;
    this.#failuresInRow += 1;
    if (this.#failuresInRow < this.#rule.ejectAfter) return false;
    const { ejectMs, maxEjectMs } = this.#rule;
    this.#failuresInRow = 0;
    this.#ejectedMs = this.#ejectedMs === 0 ? ejectMs : Math.min(maxEjectMs, this.#ejectedMs * 2);
    this.#ejectedAt = now;
    this.#ejectedUntil = now + this.#ejectedMs;
    this.#backSince = this.#ejectedUntil;
    return true;
  }
}
