/** Members that are written down, and are others when others are written. */

import type { Member, MemberSource } from '../member.ts';

export class ListedMembers implements MemberSource {
  #members: readonly Member[];
  readonly #watchers = new Set<(members: readonly Member[]) => void>();

  constructor(members: readonly Member[] = []) {
    this.#members = members;
  }

  set(members: readonly Member[]): void {
    this.#members = members;
    for (const report of this.#watchers) report(members);
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
    report(this.#members);
    return watching;
  }
}
