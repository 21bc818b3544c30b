/**
 * What is known of one hop of a traced route: how far it is, what it says of itself, and what is wrong with it.
 *
 * Owns the words for what a trace holds, and the figures that follow from it. Asks nobody.
 * Documentation: docs/trace.md
 */

import type { HoplineError } from '../../core/errors.ts';
import type { TcpInfo } from '../../io/kernel/tcp-info.ts';
import type { Hop } from '../../wire/address.ts';
import type { AnswerOf } from '../../wire/native/messages.ts';

/** Seen from this machine: towards the hop, and back from it. */
export type WayDirection = 'up' | 'down';

/** Something that is wrong with a hop, or with the leg to it. */
export type Finding =
  /** What makes transfers fail. `advice` where it is another than the usual one for the error's code; `isSize`: large segments alone are lost. */
  | { readonly kind: 'failure'; readonly error: HoplineError; readonly advice?: string; readonly isSize?: true }
  /** What makes them slow, or less than they could be. */
  | { readonly kind: 'warning'; readonly message: string; readonly advice: string };

/**
 * - `pinned`: it has proved the key that stands in the route;
 * - `known`: it has proved the one that this machine knew of it;
 * - `new`: it says one that nobody here knew, which proves nothing;
 * - `changed`: it has not proved the one that was expected;
 * - `none`: it says that it has none.
 */
type KeyState = 'pinned' | 'known' | 'new' | 'changed' | 'none';

/** - `unreached`: nothing before it answers; - `classic`: it speaks the classic dialect and nothing else. */
type HopState = 'asking' | 'answers' | 'classic' | 'fails' | 'unreached';

export interface RoundTrips {
  readonly minMs: number;
  readonly medianMs: number;
  readonly maxMs: number;
  /** The mean of the differences between one and the next. */
  readonly jitterMs: number;
  readonly count: number;
}

/** Bytes a second over all legs from here to the hop; undefined where it was not measured. */
interface WayRates {
  readonly up?: number | undefined;
  readonly down?: number | undefined;
}

interface HopClock {
  /** How much its clock is ahead of this machine's. */
  readonly offsetMs: number;
  /** How wrong that may be. */
  readonly errorMs: number;
}

/** A hop as far as it was looked at; grows while the trace runs. */
export interface HopLook {
  /** From 1. */
  readonly route: number;
  /** From 1. */
  readonly place: number;
  /** With the member that was taken, where it is a pool. */
  hop: Hop;
  /** The hop that the way leads over before it; undefined for a first hop. */
  readonly before: HopLook | undefined;
  state: HopState;
  /** Whether nothing more comes to be known of it. */
  isDone: boolean;
  connectMs?: number | undefined;
  /** From OPEN to the first answer. */
  answerMs?: number | undefined;
  readonly samplesMs: number[];
  /** What this machine's system knows of the connection to a first hop, where it can be asked. */
  tcp?: TcpInfo | undefined;
  pong?: AnswerOf<'pong'> | undefined;
  clock?: HopClock | undefined;
  key?: KeyState | undefined;
  encrypted: boolean;
  rates: WayRates;
  /** Where large segments do not pass, on any leg from here to the hop. */
  readonly swallows: WayDirection[];
  readonly findings: Finding[];
}

export function createLook(route: number, place: number, hop: Hop, before: HopLook | undefined): HopLook {
  const figures = { samplesMs: [], swallows: [], findings: [], rates: {}, encrypted: false };
  return { route, place, hop, before, state: 'asking', isDone: false, ...figures };
}

/** Of all legs to the hop; undefined as long as there is none. */
export function roundTripsOf({ samplesMs }: HopLook): RoundTrips | undefined {
  if (samplesMs.length === 0) return undefined;
  const sorted = [...samplesMs].sort((a, b) => a - b);
  const steps = samplesMs.slice(1).map((ms, index) => Math.abs(ms - (samplesMs[index] as number)));
  const jitterMs = steps.length === 0 ? 0 : steps.reduce((sum, step) => sum + step, 0) / steps.length;
  const [minMs = 0] = sorted;
  return { minMs, medianMs: median(sorted), maxMs: sorted.at(-1) ?? 0, jitterMs, count: sorted.length };
}

/** The round trip of the last leg alone: what the hop has more than the one before it. */
export function legOf(look: HopLook): { readonly medianMs: number; readonly isBelowNoise: boolean } | undefined {
  const own = roundTripsOf(look);
  const before = look.before ? roundTripsOf(look.before) : { medianMs: 0, jitterMs: 0 };
  if (!own || !before) return undefined;
  const medianMs = Math.max(0, own.medianMs - before.medianMs);
  return { medianMs, isBelowNoise: medianMs < own.jitterMs + before.jitterMs };
}

/**
 * What it took to connect the last leg: for the first one what this machine waited, for any other what the node before it
 * did, as far as that can be told from here.
 */
export function connectOf(look: HopLook): number | undefined {
  if (!look.before) return look.connectMs;
  const [own, before] = [waited(look), waited(look.before)];
  return own === undefined || before === undefined ? undefined : Math.max(0, own - before);
}

/** The hops that a look went over, its own at the end. */
export function wayTo({ before, hop }: HopLook): Hop[] {
  return before ? [...wayTo(before), hop] : [hop];
}

/** The first failure of all, in the order of routes and hops. */
export function firstFailure(looks: readonly HopLook[]): HoplineError | undefined {
  const failures = looks.flatMap(({ findings }) =>
    findings.flatMap((one) => (one.kind === 'failure' ? [one.error] : [])),
  );
  return failures[0];
}

/** Beyond a round trip, until the first answer came. */
function waited(look: HopLook): number | undefined {
  const trips = roundTripsOf(look);
  return trips && look.answerMs !== undefined ? look.answerMs - trips.medianMs : undefined;
}

function median(sorted: readonly number[]): number {
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}
