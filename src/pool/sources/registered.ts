/**
 * Members that make themselves known, in the order in which they first did, or are made known all at once.
 *
 * Who may is decided by whoever calls.
 */

import { type Member, type MemberSource, nameMember } from '../member.ts';

export class RegisteredMembers implements MemberSource {
  readonly isHearsay: boolean;
  readonly #members = new Map<string, Member>();
  readonly #watchers = new Set<(members: readonly Member[]) => void>();

  constructor({ isHearsay = false }: { readonly isHearsay?: boolean } = {}) {
    this.isHearsay = isHearsay;
  }

  get size(): number {
    return this.#members.size;
  }

  members(): readonly Member[] {
    return [...this.#members.values()];
  }

  /** Says whether the member is new; one that is known already keeps its place. */
  add(member: Member): boolean {
    const name = nameMember(member.hop);
    if (this.#members.has(name)) return false;
    this.#members.set(name, member);
    this.#report();
    return true;
  }

  /** Makes these the members; whoever watches hears of it if that changes anything. */
  replace(members: readonly Member[]): void {
    const before = JSON.stringify(this.members());
    this.#members.clear();
    for (const member of members) this.#members.set(nameMember(member.hop), member);
    if (JSON.stringify(this.members()) !== before) this.#report();
  }

  /** Says whether there was such a member. */
  remove(name: string): boolean {
    const removed = this.#members.delete(name);
    if (removed) this.#report();
    return removed;
  }

  watch(report: (members: readonly Member[]) => void, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    this.#watchers.add(report);
    const watching = new Promise<void>((resolve) => {
      const stop = () => {
        this.#watchers.delete(report);
        resolve();
      };
      signal.addEventListener('abort', stop, { once: true });
    });
    // Whoever wants to know the members once ends the watch from within.
    report(this.members());
    return watching;
  }

  #report(): void {
    const members = this.members();
    for (const report of this.#watchers) report(members);
  }
}
