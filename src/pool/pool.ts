/**
 * A pool: members from its sources, one of them picked for each request, and another one tried when that fails.
 *
 * Owns who is a member, and what is under way at each. What a request or a check
 * is, is a function that is passed in.
 * Invariant: once `close()` has settled, no timer, check or watch of a source is left.
 * Documentation: docs/pools.md
 */

import { setMaxListeners } from 'node:events';
import { HoplineError } from '../core/errors.ts';
import type { Signal } from '../core/signal.ts';
import { Attempt, type AttemptSetup } from './attempt.ts';
import { type Algorithm, type Balancer, createBalancer } from './balance.ts';
import { defaultHealthRule, Health, type HealthRule } from './health.ts';
import { type Member, type MemberSource, nameMember } from './member.ts';
import { Checks, type ChecksOptions, type MemberLoad, type Probation, type Probe } from './member-checks.ts';
import { pickSlot, type Slot, type Wishes } from './pick.ts';

export interface RequestOptions extends Wishes {
  /** Aborts when whoever asked has gone. */
  readonly signal?: Signal | undefined;
}

export interface PoolSetup extends AttemptSetup {
  readonly sources: readonly MemberSource[];
  /** @default 'round-robin' */
  readonly algorithm?: Algorithm | undefined;
  readonly health?: Partial<HealthRule> | undefined;
  /** Without it, members are not checked. */
  readonly probe?: Probe | undefined;
  /** For members that only say themselves that they are there. Without it they are checked like any other. */
  readonly probation?: Probation | undefined;
  /** Told of each check that a member failed while it was down, and for how many milliseconds it has been. */
  readonly onDown?: ChecksOptions['onDown'];
  readonly maxMembers: number;
  /** Members that one request is tried on. */
  readonly maxTries: number;
  /** At least 0 and below 1. @default Math.random */
  readonly random?: (() => number) | undefined;
}

export interface MemberStatus {
  readonly name: string;
  readonly member: Member;
  readonly up: boolean;
  readonly ejected: boolean;
  /** Milliseconds since checks found it down; 0 while it is up. */
  readonly downMs: number;
  readonly inFlight: number;
  /** Attempts since it came, and those of them that failed. */
  readonly requests: number;
  readonly failed: number;
  /** Why the last check or attempt that failed did so, if one has. */
  readonly trouble: string | undefined;
  /** What it told at its last check, if it did. */
  readonly load?: MemberLoad | undefined;
}

interface Listed {
  readonly member: Member;
  readonly isHearsay: boolean;
}

export class Pool {
  readonly #options: PoolSetup;
  readonly #rule: HealthRule;
  readonly #balance: Balancer;
  readonly #random: () => number;
  readonly #slots = new Map<string, Slot>();
  readonly #listed: (readonly Member[])[];
  readonly #closing = new AbortController();
  readonly #watches: readonly Promise<void>[];
  readonly #checks: Checks | undefined;
  #nextOrdinal = 0;
  /** Members that there is no room for. */
  #leftOut = 0;
  /** Nobody was up when last asked for: told when it begins and when it ends, however often somebody asks. */
  #isEmpty = false;

  constructor(options: PoolSetup) {
    this.#options = options;
    this.#rule = { ...defaultHealthRule, ...options.health };
    this.#random = options.random ?? Math.random;
    this.#balance = createBalancer(options.algorithm ?? 'round-robin', this.#random);
    const { name: pool, probe, clock, log, probation, onDown } = options;
    const { signal } = this.#closing;
    // Every check listens.
    setMaxListeners(0, signal);
    const checks = { pool, rule: this.#rule, clock, log, random: this.#random, probation, onDown, signal };
    this.#checks = probe && new Checks({ ...checks, probe });
    this.#listed = options.sources.map(() => []);
    this.#watches = options.sources.map((source, index) => {
      const report = (members: readonly Member[]) => {
        this.#listed[index] = members;
        this.#update();
      };
      return source.watch(report, signal);
    });
  }

  members(): readonly MemberStatus[] {
    const now = this.#options.clock.now();
    return [...this.#slots.values()].map(({ name, member, health, inFlight, requests, failed, trouble, load }) => ({
      name,
      member,
      up: health.downSince === undefined,
      ejected: health.isEjected(now),
      downMs: health.downSince === undefined ? 0 : now - health.downSince,
      inFlight,
      requests,
      failed,
      trouble,
      load,
    }));
  }

  /**
   * Begins a request at a member, and at others for as long as it fails there. It is under way at the one where it began
   * until its attempt is told how it ended.
   * Throws `POOL_EMPTY` if no member is up, the signal's reason, or what the last attempt failed with.
   */
  async begin<T>(begin: (attempt: Attempt) => Promise<T>, options: RequestOptions = {}): Promise<[T, Attempt]> {
    const { name, clock, maxTries } = this.#options;
    const tried: Slot[] = [];
    let failure: unknown;
    while (tried.length < maxTries) {
      const slot = pickSlot(this.#slots, tried, options, { now: clock.now(), balance: this.#balance });
      if (tried.length === 0) this.#noteEmpty(slot === undefined);
      if (!slot) break;
      tried.push(slot);
      const attempt = new Attempt(slot, this.#options, options.signal);
      try {
        return [await begin(attempt), attempt];
      } catch (error) {
        failure = error;
        if (!attempt.failed(error)) break;
      }
    }
    throw failure ?? new HoplineError('POOL_EMPTY', `no member of ${name} is up`);
  }

  /** A request that is over once `run` has succeeded. Throws as `begin`. */
  async run<T>(run: (member: Member) => Promise<T>, options?: RequestOptions): Promise<T> {
    const [result, attempt] = await this.begin(({ member }) => run(member), options);
    attempt.succeeded();
    return result;
  }

  #noteEmpty(isEmpty: boolean): void {
    if (isEmpty === this.#isEmpty) return;
    this.#isEmpty = isEmpty;
    const { name, log } = this.#options;
    const fields = { pool: name, members: this.#slots.size };
    if (isEmpty) log.warn(fields, 'no member of the pool is up: who asks for it is refused from now on');
    else log.info(fields, 'a member of the pool is up again');
  }

  has(name: string): boolean {
    return this.#slots.has(name);
  }

  isUp(name: string): boolean {
    const slot = this.#slots.get(name);
    return slot !== undefined && slot.health.downSince === undefined;
  }

  /** Whether it has been shown to be there, by a check or by others than itself. */
  isProven(name: string): boolean {
    return this.#slots.get(name)?.isProven ?? false;
  }

  /** Checks a member now if it is down, since there is reason to think that it is back. */
  recheck(name: string): void {
    const slot = this.#slots.get(name);
    if (slot?.health.downSince !== undefined) this.#checks?.hurry(slot);
  }

  async close(): Promise<void> {
    this.#closing.abort(new HoplineError('NODE_STOPPING', 'the pool is closed'));
    await Promise.all([...this.#watches, this.#checks?.settled()]);
  }

  /** Brings the slots in line with what the sources have listed. */
  #update(): void {
    const { name, maxMembers, log } = this.#options;
    const listed = this.#gather();
    for (const [gone, slot] of this.#slots) {
      if (listed.has(gone)) continue;
      this.#checks?.stop(slot);
      this.#slots.delete(gone);
    }
    let leftOut = 0;
    for (const [known, entry] of listed) {
      const slot = this.#slots.get(known);
      if (slot) this.#renew(slot, entry);
      else if (this.#slots.size < maxMembers) this.#join(known, entry);
      else leftOut += 1;
    }
    if (leftOut > this.#leftOut) {
      log.warn({ pool: name, members: leftOut }, `the pool has its ${maxMembers} members; others are left out`);
    }
    this.#leftOut = leftOut;
  }

  /** All that the sources list; of two with one name the first counts. */
  #gather(): ReadonlyMap<string, Listed> {
    const listed = new Map<string, Listed>();
    for (const [index, members] of this.#listed.entries()) {
      const isHearsay = this.#options.sources[index]?.isHearsay ?? false;
      for (const member of members) {
        const known = nameMember(member.hop);
        if (!listed.has(known)) listed.set(known, { member, isHearsay });
      }
    }
    return listed;
  }

  #renew(slot: Slot, { member, isHearsay }: Listed): void {
    Object.assign(slot, { member, weight: member.weight, isProven: slot.isProven || !isHearsay });
  }

  #join(name: string, { member, isHearsay }: Listed): void {
    const slot: Slot = {
      name,
      member,
      ordinal: this.#nextOrdinal,
      weight: member.weight,
      inFlight: 0,
      health: new Health(this.#rule),
      load: undefined,
      isProven: !isHearsay,
      failures: 0,
      requests: 0,
      failed: 0,
      trouble: undefined,
      credit: 0,
    };
    this.#nextOrdinal += 1;
    this.#slots.set(name, slot);
    this.#checks?.start(slot);
  }
}
