/**
 * What a client and the relays before pools tell each other: what to go by when one picks, and whom it has picked.
 *
 * Knows OPEN and TAKEN. What is avoided, and for how long, is route-chooser.ts's affair.
 * Specification: docs/protocol.md#taken
 */

import { createHash } from 'node:crypto';
import { HoplineError } from '../../core/errors.ts';
import { type Hop, isPoolHop } from '../../wire/address.ts';
import type { AnswerOf, Message } from '../../wire/native/messages.ts';
import { maxAvoided } from '../../wire/native/open-message.ts';
import { nameHop } from './refusal-text.ts';

/** Puts the member that a relay took into its place. Throws `PEER_PROTOCOL` where no member was to be taken. */
export function noteTaken({ hop: place, address }: AnswerOf<'taken'>, hops: Hop[]): void {
  const hop = hops[place - 1];
  if (!hop || !isPoolHop(hop) || hop.member) {
    throw new HoplineError('PEER_PROTOCOL', `${nameHop(1, hops)} took a member where there is none to take`);
  }
  hops[place - 1] = { ...hop, member: address };
}

interface PoolFields {
  readonly key?: string;
  readonly avoid?: string[];
}

/** The fields of OPEN for relays that pick members; whoever asks for the same file has the same key. */
export function poolFields(requests: readonly Message[], avoid: readonly string[] = []): PoolFields {
  const named = requests.map(nameIn).find((name) => name !== undefined);
  const key = named === undefined ? {} : { key: createHash('sha256').update(named).digest('hex').slice(0, 16) };
  return { ...key, ...(avoid.length > 0 ? { avoid: avoid.slice(0, maxAvoided) } : {}) };
}

function nameIn(request: Message): string | undefined {
  return request.type === 'stat' || request.type === 'put' || request.type === 'list' ? request.name : undefined;
}

/** Each pool as the member that was taken, once that is known: asked for again, a pool might well take another. */
export function membersTaken(hops: readonly Hop[]): Hop[] {
  return hops.map((hop) => (isPoolHop(hop) && hop.member ? hop.member : hop));
}
