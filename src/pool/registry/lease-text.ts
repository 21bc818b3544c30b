/**
 * One entry of a shared registry, as text: a member, its pool, and a note.
 *
 * Whoever may write to the store may have written anything: an entry counts only if it is well formed.
 * Invariant: the same entry is always the same text.
 * Format: docs/pools.md#a-shared-registry
 */

import * as v from 'valibot';
import { formatHop, parseAddress } from '../../wire/address.ts';
import type { Member } from '../member.ts';

export interface LeaseEntry {
  readonly pool: string;
  readonly member: Member;
  /** What whoever registers a member wants those to know who use it; nobody here reads it. */
  readonly note?: string | undefined;
}

/** Bytes of one entry; what is longer is none. */
export const maxEntryBytes = 1024;

const whole = v.pipe(v.number(), v.safeInteger(), v.maxValue(1_000_000));

const schema = v.object({
  pool: v.pipe(v.string(), v.minLength(1), v.maxLength(200)),
  at: v.pipe(v.string(), v.maxLength(300)),
  weight: v.optional(v.pipe(whole, v.minValue(1)), 1),
  priority: v.optional(v.pipe(whole, v.minValue(0)), 0),
  note: v.optional(v.pipe(v.string(), v.maxLength(64))),
});

export function formatEntry({ pool, member, note }: LeaseEntry): string {
  const { hop, weight, priority } = member;
  const more = { ...(weight === 1 ? {} : { weight }), ...(priority === 0 ? {} : { priority }) };
  return JSON.stringify({ pool, at: formatHop(hop), ...more, ...(note === undefined ? {} : { note }) });
}

/** The entry that a text is, or undefined. */
export function parseEntry(text: string): LeaseEntry | undefined {
  if (Buffer.byteLength(text) > maxEntryBytes) return undefined;
  const parsed = v.safeParse(schema, parseJson(text));
  if (!parsed.success) return undefined;
  const { pool, at, weight, priority, note } = parsed.output;
  const hop = parseAddress(at);
  return hop.kind === 'ok' ? { pool, member: { hop: hop.hop, weight, priority }, note } : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
