/**
 * Who is a member of which pool, as the entries of a shared registry say.
 *
 * Knows the entries' text. Does not know leases, or where the entries come from.
 * Invariant: no pool has more members than `maxPoolMembers`, and there are no more pools than `maxPools`, whatever is written there.
 */

import type { Limits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import { describeChanges } from '../changes.ts';
import { nameMember } from '../member.ts';
import { RegisteredMembers } from '../sources/registered.ts';
import { type LeaseEntry, parseEntry } from './lease-text.ts';

/** All are asked for whenever they are needed: they may change. */
export interface LeasedMembersOptions {
  /** Whether a member at this address and port is this node itself, which is none to itself. */
  readonly isSelf: (address: string, port: number) => boolean;
  readonly limits: Limits;
  readonly log: Logger;
}

export class LeasedMembers {
  readonly #registry: string;
  readonly #options: LeasedMembersOptions;
  readonly #pools = new Map<string, RegisteredMembers>();
  #notes = new Map<string, string>();
  #unusable = 0;

  /** `registry` is its name in the log. */
  constructor(registry: string, options: LeasedMembersOptions) {
    this.#registry = registry;
    this.#options = options;
  }

  of(pool: string): RegisteredMembers {
    const known = this.#pools.get(pool) ?? new RegisteredMembers();
    this.#pools.set(pool, known);
    return known;
  }

  has(pool: string): boolean {
    return (this.#pools.get(pool)?.size ?? 0) > 0;
  }

  /** The note of a member, by its name. */
  note(name: string): string | undefined {
    return this.#notes.get(name);
  }

  /** From now on the members are those that these entries say. */
  take(texts: readonly string[]): void {
    const { isSelf, limits } = this.#options;
    const { maxPools, maxPoolMembers } = limits;
    const pools = new Map<string, LeaseEntry[]>();
    const notes = new Map<string, string>();
    let unusable = 0;
    for (const text of texts) {
      const entry = parseEntry(text);
      if (entry && isSelf(entry.member.hop.host, entry.member.hop.port)) continue;
      const entries = entry && (pools.get(entry.pool) ?? []);
      if (!entries || entries.length >= maxPoolMembers || (entries.length === 0 && pools.size >= maxPools)) {
        unusable += 1;
        continue;
      }
      pools.set(entry.pool, [...entries, entry]);
      if (entry.note !== undefined) notes.set(nameMember(entry.member.hop), entry.note);
    }
    this.#tellUnusable(unusable);
    this.#notes = notes;
    const before = this.#memberNames();
    for (const pool of new Set([...this.#pools.keys(), ...pools.keys()])) {
      this.of(pool).replace((pools.get(pool) ?? []).map(({ member }) => member));
    }
    this.#tellChanges(before);
  }

  #tellChanges(before: readonly string[]): void {
    const changes = describeChanges(before, this.#memberNames());
    const fields = { registry: this.#registry, ...changes };
    if (changes) this.#options.log.info(fields, 'members in the registry have changed');
  }

  #memberNames(): string[] {
    return [...this.#pools].flatMap(([pool, known]) =>
      known.members().map(({ hop }) => `${nameMember(hop)} of ${pool}`),
    );
  }

  #tellUnusable(count: number): void {
    const { log } = this.#options;
    if (count > this.#unusable)
      log.warn({ registry: this.#registry, entries: count }, 'the registry has entries of no use');
    this.#unusable = count;
  }
}
