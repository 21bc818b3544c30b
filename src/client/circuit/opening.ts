/**
 * What a client tells the nodes on the way of a circuit, by OPEN, and what those before pools tell it: whom they have picked.
 *
 * Does not know what is avoided, or for how long.
 * Invariant: what is to be encrypted stands in no OPEN: neither a name, nor the address that a tunnel leads to.
 * Format: docs/protocol/circuits.md#open
 */

import { createHash, randomBytes } from 'node:crypto';
import { HoplineError } from '../../core/errors.ts';
import { formatHop, type Hop, isPoolHop } from '../../wire/address.ts';
import type { AnswerOf, Message } from '../../wire/native/messages.ts';
import { maxAvoided } from '../../wire/native/open-message.ts';
import { formatTraceparent, parseTraceparent } from '../../wire/traceparent.ts';
import { nameHop } from './refusal-text.ts';

export interface OpeningOptions {
  /** Whether the last hop is no node but an address that the one before connects to, and bytes pass as they are. @default false */
  readonly tunnel?: boolean | undefined;
  /** Members of pools that relays take only if there is no other, as they were named in TAKEN. */
  readonly avoid?: readonly string[] | undefined;
  /** Whether what is sent behind OPEN is encrypted. @default false */
  readonly isSealed?: boolean | undefined;
  /** Milliseconds for the circuit to reach its last node. */
  readonly deadlineMs: number;
  /** For the logs of its nodes; what is none is not sent. @default none */
  readonly traceparent?: string | undefined;
}

export interface Opening {
  readonly open: Message & { readonly type: 'open' };
  /** What is sent behind it. */
  readonly first: readonly Message[];
}

/** What a circuit over `hops` begins with, with a trace of its own. */
export function openingOf(
  hops: readonly Hop[],
  requests: readonly Message[],
  { tunnel = false, avoid, isSealed = false, deadlineMs, traceparent }: OpeningOptions,
): Opening {
  const trace = randomBytes(16).toString('hex');
  // Relays know nothing of the name by which to pick a member, where that is sealed.
  const forPools = hops.some(isPoolHop) ? poolFields(isSealed ? [] : requests, avoid) : {};
  const known = parseTraceparent(traceparent ?? '');
  const forLogs = known ? { traceparent: formatTraceparent(known) } : {};
  const open = { type: 'open', hops: hops.map(formatHop), hop: 1, trace, deadlineMs, ...forPools, ...forLogs } as const;
  if (!tunnel) return { open, first: requests };
  if (!isSealed) return { open: { ...open, tunnel }, first: requests };
  const [address = ''] = open.hops.slice(-1);
  return { open: { ...open, hops: open.hops.slice(0, -1) }, first: [{ type: 'connect', address }, ...requests] };
}

/** Puts the member that a relay took into its place. Throws `PEER_PROTOCOL` where no member was to be taken. */
export function noteTaken({ hop: place, address }: AnswerOf<'taken'>, hops: Hop[]): void {
  const hop = hops[place - 1];
  if (!hop || !isPoolHop(hop) || hop.member) {
    throw new HoplineError('PEER_PROTOCOL', `${nameHop(1, hops)} took a member where there is none to take`);
  }
  hops[place - 1] = { ...hop, member: address };
}

/** Each pool as the member that was taken, once that is known: asked for again, a pool might well take another. */
export function membersTaken(hops: readonly Hop[]): Hop[] {
  return hops.map((hop) => (isPoolHop(hop) && hop.member ? hop.member : hop));
}

interface PoolFields {
  readonly key?: string;
  readonly avoid?: string[];
}

/** The fields of OPEN for relays that pick members; whoever asks for the same file has the same key. */
function poolFields(requests: readonly Message[], avoid: readonly string[] = []): PoolFields {
  const named = requests.map(nameIn).find((name) => name !== undefined);
  const key = named === undefined ? {} : { key: createHash('sha256').update(named).digest('hex').slice(0, 16) };
  return { ...key, ...(avoid.length > 0 ? { avoid: avoid.slice(0, maxAvoided) } : {}) };
}

function nameIn(request: Message): string | undefined {
  return request.type === 'stat' || request.type === 'put' || request.type === 'list' ? request.name : undefined;
}
