/**
 * How far ahead a circuit is asked for pieces, and by which requests.
 *
 * On a long and fast way much has to be asked for before the first of it comes. Nothing of that is held anywhere but on the
 * way: whoever is slow to take it stops the origin.
 * Knows nothing about which piece is due. Specification: docs/protocol/requests.md#client
 */

import type { Limits } from '../../core/limits.ts';
import type { Message, RequestOf } from '../../wire/native/messages.ts';

/** How long the pieces that are asked for ahead should keep a circuit busy when others could bring them too. */
const sharedMs = 500;
/** A circuit may be asked for so many times `maxReadsAhead`. */
const mostWindows = 32;
/** Of these, at first, when nothing is known of the way or of the file: what a fast way brings before more can come. */
const firstWindows = 16;

/** What is known of a circuit. */
export interface Pace {
  /** Whether no other circuit brings pieces of the file. */
  readonly isAlone: boolean;
  /** Pieces that it has brought. */
  readonly came: number;
  /** Pieces a millisecond. */
  readonly speed: number;
  /** Milliseconds from a request to its answer. */
  readonly answerMs: number;
}

/** How many pieces may be asked for along with the status of a file, besides the first. */
export function piecesAtFirst(isAlone: boolean, { maxReadsAhead }: Limits): number {
  return isAlone ? firstWindows * maxReadsAhead - 1 : 0;
}

/**
 * How many pieces may be asked for ahead. Alone, as many as have come and as many as at first besides: they grow with each
 * round trip, however long that is and however fast the way. With others at work, no more than the circuit brings soon; two
 * answers more let that grow likewise.
 */
export function piecesAhead({ isAlone, came, speed, answerMs }: Pace, limits: Limits): number {
  if (isAlone) return bounded(came + firstWindows * limits.maxReadsAhead, limits);
  const soon = Math.ceil(speed * (sharedMs + 2 * answerMs));
  return bounded(Math.max(2, Math.min(soon, came + limits.maxReadsAhead)), limits);
}

/** How many digests: each may cost the origin a piece to read, and those behind one that differs are worth nothing. */
export function digestsAhead(came: number, limits: Limits): number {
  return bounded(came + limits.maxReadsAhead, limits);
}

function bounded(wanted: number, { maxReadsAhead }: Limits): number {
  return Math.min(mostWindows * maxReadsAhead, wanted);
}

interface Reads {
  readonly rangeOf: (index: number) => { readonly offset: number; readonly length: number };
  readonly version: string;
  /** Whether the origin takes one READ for several pieces in a row. */
  readonly takesMore: boolean;
}

/** The READs for pieces: where the origin takes that, one for each run of them. */
export function readsOf(indexes: readonly number[], { rangeOf, version, takesMore }: Reads): Message[] {
  const reads: (RequestOf<'read'> & { more: number })[] = [];
  for (const [place, index] of indexes.entries()) {
    const last = reads.at(-1);
    if (last && takesMore && index - 1 === indexes[place - 1]) last.more += 1;
    else reads.push({ type: 'read', ...rangeOf(index), version, more: 0 });
  }
  return reads.map(({ more, ...read }) => (more > 0 ? { ...read, more } : read));
}
