/**
 * Members that make themselves known, in the order in which they first did, or are made known all at once.
 *
 * The caller decides who may.
 */

import { type Member, type MemberSource, nameMember } from '../member.ts';
import { ListedMembers } from './listed.ts';

export class RegisteredMembers implements MemberSource {
  readonly isHearsay: boolean;
  readonly #members = new Map<string, Member>();
  /** For those who watch. */
  readonly #told = new ListedMembers();

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
    return this.#told.watch(report, signal);
  }

  #report(): void {
    this.#told.set(this.members());
  }
}
