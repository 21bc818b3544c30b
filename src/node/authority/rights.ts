/**
 * The rights of one client: which names it reads and writes, how much, and until when.
 *
 * Knows no clients, and nothing about how rights are written.
 */

import { Globs } from '../../wire/globs.ts';

export interface Rights {
  /** Names that may be asked for: STAT, READ, DIGEST and LIST. */
  readonly read: Globs;
  /** Names that may be uploaded, where the node takes uploads. */
  readonly write: Globs;
  /** Pools that a server of the key may register for. */
  readonly register: ReadonlySet<string>;
  /** Whether an upload may replace a file, where the node lets one. */
  readonly mayReplace: boolean;
  /** Milliseconds since 1970, from which on there is no right. */
  readonly expires?: number | undefined;
  /** Bytes a second of all its circuits together, each way. */
  readonly limitRate?: number | undefined;
  readonly maxCircuits?: number | undefined;
  /** Bytes of one upload. */
  readonly maxUploadBytes?: number | undefined;
}

export const allRights: Rights = {
  read: new Globs(['**']),
  write: new Globs(['**']),
  register: new Set(),
  mayReplace: true,
};
export const noRights: Rights = { read: new Globs([]), write: new Globs([]), register: new Set(), mayReplace: false };

/** Whether `now` forbids anything that `before` allowed. */
export function isNarrower(now: Rights, before: Rights): boolean {
  const limits = ['expires', 'limitRate', 'maxCircuits', 'maxUploadBytes'] as const;
  return (
    !now.read.cover(before.read) ||
    !now.write.cover(before.write) ||
    [...before.register].some((pool) => !now.register.has(pool)) ||
    (before.mayReplace && !now.mayReplace) ||
    limits.some((limit) => (now[limit] ?? Number.POSITIVE_INFINITY) < (before[limit] ?? Number.POSITIVE_INFINITY))
  );
}
