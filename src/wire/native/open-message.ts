/**
 * OPEN: the first message of a circuit, which travels forward from relay to relay.
 *
 * Invariant: a relay passes on what it does not know as it came.
 * Format: docs/protocol/circuits.md#open
 */

import * as v from 'valibot';
import { parseHop } from '../address.ts';
import { type Decoded, ok } from '../decoded.ts';
import { findMembers, replaceMembers } from '../packet/json-object.ts';
import { parseTraceparent } from '../traceparent.ts';
import { beginsFrame, encodeFrame, headerOf } from './frame.ts';
import { count, decodeAs, parsedBy, positive } from './message-fields.ts';

/** Members in one OPEN that are to be avoided. */
export const maxAvoided = 16;

const open = v.object({
  type: v.literal('open'),
  /** The hops that are left, the receiver first. */
  hops: v.pipe(v.array(parsedBy(parseHop)), v.minLength(1), v.maxLength(256)),
  /** The receiver's place in the route, from 1. */
  hop: v.pipe(positive, v.maxValue(256)),
  /** Names this circuit on every node that it goes through. */
  trace: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
  /** Milliseconds that are left for the circuit to reach the origin. */
  deadlineMs: positive,
  /** Hops before the first one of this route: those of the tunnel that it comes through. */
  behind: v.optional(count),
  /** Whether the last of `hops` is no node but an address that the one before connects to. */
  tunnel: v.optional(v.boolean()),
  /** For a relay that picks a member of a pool: those that are taken only if there is no other. */
  avoid: v.optional(v.pipe(v.array(v.pipe(v.string(), v.maxLength(300))), v.maxLength(maxAvoided))),
  /** For consistent hashing: the same for whatever had better come from the same member. */
  key: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(64))),
  /** What the circuit is for, as logs have it. What is none breaks no circuit. */
  traceparent: v.optional(
    v.pipe(
      v.custom<string>(() => true),
      v.transform((text) => (typeof text === 'string' ? parseTraceparent(text) : undefined)),
    ),
  ),
});

/** What is sent; hops travel as text. */
export type OpenFields = v.InferInput<typeof open>;
export type Open = v.InferOutput<typeof open> & {
  /** The header as it came, for a relay to pass on: it may hold what a later version knows. */
  readonly header: Buffer;
};

/** Decodes the first frame of a circuit. Bad as `decodeFrame`, and `PEER_PROTOCOL` for anything but a valid OPEN. */
export function decodeOpen(bytes: Buffer, maxHeaderBytes: number): Decoded<Open> {
  const decoded = decodeAs(open, 'OPEN', bytes, maxHeaderBytes);
  if (decoded.kind !== 'ok') return decoded;
  // The block that the bytes are in is read into again.
  const header = Buffer.from(headerOf(bytes, decoded.used));
  return ok(Object.assign(decoded.value, { header }), decoded.used);
}

/** What a log says of a circuit: its place there, its own id, and the id of what it is for, if its client has said one. */
export interface CircuitNames {
  readonly hop: number;
  readonly trace?: string | undefined;
  readonly traceId?: string | undefined;
}

export function namesOf({ hop, trace, traceparent }: Pick<Open, 'hop' | 'trace' | 'traceparent'>): CircuitNames {
  return { hop, trace, traceId: traceparent?.traceId };
}

/** What a relay changes in an OPEN that it passes on. */
export type OpenChanges = Partial<Pick<OpenFields, 'hops' | 'hop' | 'deadlineMs' | 'trace' | 'behind'>>;

/** An OPEN as it came but for `changes`: every other byte of its header goes on untouched. */
export function passOpenOn({ header }: Open, changes: OpenChanges): Buffer {
  const values: Record<string, string> = {};
  for (const name of Object.keys(changes) as (keyof OpenChanges)[]) values[name] = JSON.stringify(changes[name]);
  return encodeFrame(replaceMembers({ bytes: header, members: findMembers(header) }, values));
}

/** Decodes an OPEN at the beginning of something else; null, with nothing used, for what does not begin like a frame. */
export function decodeNestedOpen(bytes: Buffer, maxHeaderBytes: number): Decoded<Open | null> {
  return beginsFrame(bytes) ? decodeOpen(bytes, maxHeaderBytes) : ok(null, 0);
}
