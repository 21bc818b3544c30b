/**
 * A pool: members from its sources, one of them picked for each request, and another one tried when that fails.
 *
 * Owns who is a member, and what is under way at each. What a request or a check
 * is, is a function that is passed in.
 * Invariant: once `close()` has settled, no timer, check or watch of a source is left.
 * Documentation: docs/pools.md
 */

import type { Clock } from '../core/clock.ts';
import { asHoplineError, HoplineError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Signal } from '../core/signal.ts';
import { type Algorithm, type Balancer, type Candidate, createBalancer } from './balance.ts';
import { Checks, type MemberLoad, type Probe } from './checks.ts';
import { defaultHealthRule, Health, type HealthRule } from './health.ts';
import { type Member, type MemberSource, nameMember } from './member.ts';

/** One try of a request. After `commit()` it cannot be repeated, since a part of the answer is on its way. `name` is the member's. */
export type Attempt<T> = (member: Member, commit: () => void, name: string) => Promise<T>;

export interface RunOptions {
  /** For consistent hashing. */
  readonly key?: string | undefined;
  /** The name of a member that comes first if it is well. */
  readonly prefer?: string | undefined;
  /** Names of members that are picked only if there is no other. */
  readonly avoid?: readonly string[] | undefined;
  /** Whether a success is as good as a check that passed. @default true */
  readonly isCheck?: boolean | undefined;
  readonly signal?: Signal | undefined;
}

export interface PoolSetup {
  readonly name: string;
  readonly sources: readonly MemberSource[];
  /** @default 'round-robin' */
  readonly algorithm?: Algorithm | undefined;
  readonly health?: Partial<HealthRule> | undefined;
  /** Without it, members are not checked. */
  readonly probe?: Probe | undefined;
  readonly maxMembers: number;
  /** Members that one request is tried on. */
  readonly maxTries: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Whether a failure is the member's, so that it counts against it and another one is tried. @default all are */
  readonly isOfMember?: ((failure: HoplineError) => boolean) | undefined;
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
  /** What it told at its last check, if it did. */
  readonly load?: MemberLoad | undefined;
}

interface Slot extends Candidate {
  member: Member;
  weight: number;
  inFlight: number;
  readonly health: Health;
  load: MemberLoad | undefined;
  /** Parts of a turn that it has saved up during its slow start. */
  credit: number;
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

  constructor(options: PoolSetup) {
    this.#options = options;
    this.#rule = { ...defaultHealthRule, ...options.health };
    this.#random = options.random ?? Math.random;
    this.#balance = createBalancer(options.algorithm ?? 'round-robin', this.#random);
    const { name: pool, probe, clock, log } = options;
    const { signal } = this.#closing;
    this.#checks = probe && new Checks({ pool, probe, rule: this.#rule, clock, log, random: this.#random, signal });
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
    return [...this.#slots.values()].map(({ name, member, health, inFlight, load }) => ({
      name,
      member,
      up: health.downSince === undefined,
      ejected: health.isEjected(now),
      downMs: health.downSince === undefined ? 0 : now - health.downSince,
      inFlight,
      load,
    }));
  }

  /**
   * Runs a request on a member, and on others for as long as it fails there.
   * Throws `POOL_EMPTY` if no member is up, the signal's reason, or what the last try threw.
   */
  async run<T>(attempt: Attempt<T>, options: RunOptions = {}): Promise<T> {
    const { name, clock, maxTries } = this.#options;
    const tried: Slot[] = [];
    let failure: unknown;
    for (let tries = 0; tries < maxTries; tries += 1) {
      const began = clock.now();
      const slot = this.#preferred(tried, options.prefer, began) ?? this.#pick(tried, options, began);
      if (!slot) break;
      tried.push(slot);
      let isCommitted = false;
      slot.inFlight += 1;
      try {
        const commit = () => {
          isCommitted = true;
        };
        const result = await attempt(slot.member, commit, slot.name);
        slot.health.served(clock.now(), options.isCheck ?? true);
        return result;
      } catch (error) {
        failure = error;
        const isOfMember = this.#count(slot, error, began, options.signal);
        if (!isOfMember || isCommitted) break;
      } finally {
        slot.inFlight -= 1;
      }
    }
    throw failure ?? new HoplineError('POOL_EMPTY', `no member of ${name} is up`);
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

  /** Counts a failure against its member, and says whether it is the member's. Throws the signal's reason. */
  #count({ name: member, health }: Slot, error: unknown, began: number, signal: Signal | undefined): boolean {
    // Whoever asked has gone: that is no fault of the member's.
    if (signal?.aborted) throw signal.reason;
    const { name: pool, clock, log, isOfMember = () => true } = this.#options;
    const { code, message } = asHoplineError(error);
    // An exception without a code of ours is a mistake in this process, and would come with any member.
    if (!(error instanceof HoplineError) || !isOfMember(error)) {
      log.warn({ pool, member, code }, `a request failed, not because of its member: ${message}`);
      return false;
    }
    const ejected = health.failed(began, clock.now());
    log.warn({ pool, member, code, ejected }, `a request failed: ${message}`);
    return true;
  }

  #preferred(tried: readonly Slot[], name: string | undefined, now: number): Slot | undefined {
    const slot = name === undefined ? undefined : this.#slots.get(name);
    if (!slot || tried.includes(slot) || slot.health.downSince !== undefined) return undefined;
    return slot.health.isEjected(now) ? undefined : slot;
  }

  #pick(tried: readonly Slot[], { key, avoid }: RunOptions, now: number): Slot | undefined {
    let candidates = this.#best(tried, avoid, now);
    while (isSome(candidates)) {
      const slot = this.#balance(candidates, key);
      if (candidates.length === 1 || takesTurn(slot, now)) return slot;
      candidates = candidates.filter((candidate) => candidate !== slot);
    }
    return undefined;
  }

  /** Those that are up and second to none: not to be avoided, not ejected, and of the lowest priority, in this order. */
  #best(tried: readonly Slot[], avoid: readonly string[] | undefined, now: number): readonly Slot[] {
    let best: Slot[] = [];
    let least = 0;
    for (const slot of this.#slots.values()) {
      if (slot.health.downSince !== undefined || tried.includes(slot)) continue;
      const demerits = (avoid?.includes(slot.name) ? 2 : 0) + (slot.health.isEjected(now) ? 1 : 0);
      const [first] = best;
      const order = first ? demerits - least || slot.member.priority - first.member.priority : -1;
      if (order > 0) continue;
      if (order < 0) best = [];
      best.push(slot);
      least = demerits;
    }
    return best;
  }

  /** Brings the slots in line with what the sources have listed. */
  #update(): void {
    const { name, maxMembers, log } = this.#options;
    const listed = new Map<string, Member>();
    for (const member of this.#listed.flat()) {
      const known = nameMember(member.hop);
      if (!listed.has(known)) listed.set(known, member);
    }
    for (const [gone, slot] of this.#slots) {
      if (listed.has(gone)) continue;
      this.#checks?.stop(slot);
      this.#slots.delete(gone);
    }
    for (const [known, member] of listed) {
      const slot = this.#slots.get(known);
      if (slot) Object.assign(slot, { member, weight: member.weight });
      else if (this.#slots.size < maxMembers) this.#join(known, member);
      else log.warn({ pool: name, member: known }, `the pool has its ${maxMembers} members already`);
    }
  }

  #join(name: string, member: Member): void {
    const slot: Slot = {
      name,
      member,
      ordinal: this.#nextOrdinal,
      weight: member.weight,
      inFlight: 0,
      health: new Health(this.#rule),
      load: undefined,
      credit: 0,
    };
    this.#nextOrdinal += 1;
    this.#slots.set(name, slot);
    this.#checks?.start(slot);
  }
}

function isSome(slots: readonly Slot[]): slots is readonly [Slot, ...Slot[]] {
  return slots.length > 0;
}

/** During its slow start a member lets turns pass, so that it has its share of them. */
function takesTurn(slot: Slot, now: number): boolean {
  slot.credit += slot.health.share(now);
  if (slot.credit < 1) return false;
  slot.credit = Math.min(1, slot.credit - 1);
  return true;
}
