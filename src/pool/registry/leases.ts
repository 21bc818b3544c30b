/**
 * A registry that several nodes share: who is a member of which pool, for as long as somebody renews the lease.
 *
 * Owns the leases of this node, and what it knows of all. Where they are kept, and by whose time they run out, is a
 * store that is passed in.
 * Invariant: a store that is lost, comes back empty, or is emptied while it runs takes no member away before its holders had
 * a lease's time to renew it.
 * Documentation: docs/pools.md#a-shared-registry
 */

import { type Clock, pause } from '../../core/clock.ts';
import { asHoplineError } from '../../core/errors.ts';
import { type MemberSource, nameMember } from '../member.ts';
import { formatEntry, type LeaseEntry } from './lease-text.ts';
import { LeasedMembers, type LeasedMembersOptions } from './leased-members.ts';

/** What a store holds. */
export interface Holding {
  readonly entries: readonly string[];
  /** When the store began to keep entries; another one after it has lost them. */
  readonly since: string;
}

/** A connection to where the entries are. After a failure it is closed, and another one is made. */
export interface Store {
  /**
   * Renews some entries, gives up others, and reads all; undefined if they are what they were at the last exchange.
   * Throws when it cannot tell in time.
   */
  exchange(changes: {
    readonly renew: readonly string[];
    readonly leave: readonly string[];
  }): Promise<Holding | undefined>;
  close(): void;
}

/** Where a store is, and what it is called in the log. */
export interface StorePlace {
  readonly name: string;
  readonly connect: (signal: AbortSignal) => Promise<Store>;
}

export interface SharedRegistryOptions extends LeasedMembersOptions {
  readonly clock: Clock;
}

interface Lease {
  readonly text: string;
  readonly isAlive: () => boolean;
}

/** The longest wait before the store is tried again: all that hold leases are back well within one. */
const maxRetryMs = 1000;

export class SharedRegistry {
  readonly #place: StorePlace;
  readonly #options: SharedRegistryOptions;
  readonly #members: LeasedMembers;
  /** The leases of this node, by pool and member. */
  readonly #leases = new Map<string, Lease>();
  readonly #leaving = new Set<string>();
  #isChanged = false;
  #renewAt = Number.NEGATIVE_INFINITY;
  /** What the store held last. */
  #read: ReadonlySet<string> = new Set();
  #since: string | undefined;
  /** What it had held before it was lost, and has not shown since. */
  #missing = new Set<string>();
  #missingUntil = Number.POSITIVE_INFINITY;
  #isLost = false;
  readonly #closing = new AbortController();
  #wake = new AbortController();
  readonly #running: Promise<void>;
  /** Settles once the store has been read, or could not be. */
  readonly started: Promise<void>;

  constructor(place: StorePlace, options: SharedRegistryOptions) {
    this.#place = place;
    this.#options = options;
    this.#members = new LeasedMembers(place.name, options);
    let settle = () => {};
    this.started = new Promise((resolve) => {
      settle = resolve;
    });
    this.#running = this.#run(settle);
  }

  /** The members of one pool. */
  source(pool: string): MemberSource {
    return this.#members.of(pool);
  }

  /** Whether the pool has a member. */
  has(pool: string): boolean {
    return this.#members.has(pool);
  }

  /** The note of a member, by its name. */
  note(name: string): string | undefined {
    return this.#members.note(name);
  }

  /** Holds a lease for a member, and renews it whenever `isAlive` says so. A second time, it takes the entry's place. */
  register(entry: LeaseEntry, isAlive: () => boolean = () => true): void {
    const key = keyOf(entry.pool, nameMember(entry.member.hop));
    const text = formatEntry(entry);
    const held = this.#leases.get(key);
    this.#leases.set(key, { text, isAlive });
    if (held?.text === text) return;
    if (held) this.#leaving.add(held.text);
    this.#leaving.delete(text);
    this.#change();
  }

  /** Gives up the lease of a member, if this node holds it. */
  leave(pool: string, name: string): void {
    const key = keyOf(pool, name);
    const held = this.#leases.get(key);
    if (!held) return;
    this.#leases.delete(key);
    this.#leaving.add(held.text);
    this.#change();
  }

  /** Tells the store what has been given up, if that takes no longer than one exchange. The other leases run out. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#wake.abort();
    await this.#running;
  }

  async #run(started: () => void): Promise<void> {
    const { limits, clock } = this.#options;
    const { signal } = this.#closing;
    let retryMs = limits.retryMinMs;
    while (!signal.aborted) {
      let store: Store | undefined;
      try {
        store = await this.#place.connect(signal);
        this.#expectAll();
        for (let isLast = false; !isLast; await this.#rest()) {
          isLast = signal.aborted;
          await this.#exchange(store);
          this.#found();
          started();
          retryMs = limits.retryMinMs;
        }
      } catch (error) {
        if (!signal.aborted) this.#lost(error);
      } finally {
        store?.close();
      }
      started();
      await pause(clock, retryMs, signal);
      retryMs = Math.min(maxRetryMs, retryMs * 2);
    }
    started();
  }

  async #exchange(store: Store): Promise<void> {
    const { clock, limits } = this.#options;
    const isDue = this.#isChanged || clock.now() >= this.#renewAt;
    this.#isChanged = false;
    const leave = [...this.#leaving];
    const renew = isDue ? [...this.#leases.values()].filter(({ isAlive }) => isAlive()).map(({ text }) => text) : [];
    const read = await store.exchange({ renew, leave });
    for (const text of leave) this.#leaving.delete(text);
    if (isDue) this.#renewAt = clock.now() + limits.leaseMs / 3;
    this.#take(read);
  }

  /** Until the next exchange is due, or there is something to tell. */
  async #rest(): Promise<void> {
    if (this.#isChanged || this.#closing.signal.aborted) return;
    this.#wake = new AbortController();
    await pause(this.#options.clock, this.#options.limits.storePollMs, this.#wake.signal);
  }

  #change(): void {
    this.#isChanged = true;
    this.#wake.abort();
  }

  /** What the store held before it may have lost, and leases may have run out meanwhile. */
  #expectAll(): void {
    const { clock, limits } = this.#options;
    for (const text of this.#read) this.#missing.add(text);
    this.#missingUntil = clock.now() + limits.leaseMs;
    this.#isChanged = true;
  }

  #emptied(): void {
    const message = 'the registry was emptied; the members known last stay for one lease more';
    if (!this.#isLost) this.#options.log.warn({ registry: this.#place.name }, message);
    this.#expectAll();
  }

  #found(): void {
    const { log } = this.#options;
    if (this.#isLost) log.info({ registry: this.#place.name }, 'the registry is back');
    this.#isLost = false;
  }

  #lost(error: unknown): void {
    const { log } = this.#options;
    const { code, reason, message } = asHoplineError(error);
    const fields = { registry: this.#place.name, code, reason };
    if (!this.#isLost) log.warn(fields, `the registry is lost; the members known last stay: ${message}`);
    this.#isLost = true;
  }

  #take(read: Holding | undefined): void {
    if (read && this.#since !== undefined && read.since !== this.#since) this.#emptied();
    const hadMissing = this.#missing.size > 0;
    if (read) [this.#read, this.#since] = [new Set(read.entries), read.since];
    for (const text of this.#missing) if (this.#read.has(text)) this.#missing.delete(text);
    if (this.#options.clock.now() >= this.#missingUntil) this.#missing.clear();
    if (read || hadMissing) this.#members.take([...this.#read, ...this.#missing].sort());
  }
}

/** A name has no space in it. */
function keyOf(pool: string, name: string): string {
  return `${name} ${pool}`;
}
