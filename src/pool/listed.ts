/** Members that are written down, and stay what they are. */

import type { Member, MemberSource } from './member.ts';

export function listedMembers(members: readonly Member[]): MemberSource {
  return {
    watch: async (report, signal) => {
      if (!signal.aborted) report(members);
    },
  };
}
