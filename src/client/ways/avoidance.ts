/**
 * What failed on the way to a file, and for how long it is avoided.
 *
 * Owns the rules that lead from an error to the hop or the leg at fault, and
 * what no second try can mend. Knows nothing about which ways there are.
 * Invariant: every failure is held against something on its way, so that the same way is not the best any more.
 */

import { HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';

/** What can fail: a hop, or one of a way's two ends, the client before its first hop and the file behind its last. */
export interface Point {
  trouble: Trouble | undefined;
  /** On the legs from here, by where they lead. */
  readonly legs: Map<Point, Trouble>;
}

export interface Trouble {
  /** How likely it is at fault, up to `full`; Infinity if it will never do better. */
  readonly weight: number;
  /** In a row. */
  readonly failures: number;
  /** When it last failed. */
  readonly failedMs: number;
  /** When it is avoided no longer; Infinity with that weight. */
  readonly untilMs: number;
}

export type AvoidanceLimits = Pick<Limits, 'avoidMs' | 'avoidMaxMs' | 'retryMinMs' | 'retryMaxMs'>;

/** How certain a failure is; whole numbers, so that sums do not depend on their order. */
const full = 64;
const little = 8;
const forGood = Number.POSITIVE_INFINITY;

/** The node at the error's place could not go on to the next. */
const onwardCodes: ReadonlySet<string> = new Set([
  'PEER_UNREACHABLE',
  'PEER_UNRESOLVED',
  'TIMEOUT_CONNECT',
  'PEER_LOST',
  'TIMEOUT_IDLE',
  'POOL_EMPTY',
]);
/** The node at the error's place does not take this route, and might take another. */
const routeCodes: ReadonlySet<string> = new Set(['LIMIT_HOPS', 'LIMIT_HEAD', 'ROUTE_LOOP']);
const permanentCodes: ReadonlySet<string> = new Set([
  'POLICY_DENIED',
  'POOL_UNKNOWN',
  'PEER_VERSION',
  'PEER_CLASSIC',
  'FILE_NOT_FOUND',
  'FILE_DENIED',
  'UPLOAD_DENIED',
  'AUTH_REQUIRED',
  'AUTH_DENIED',
  ...routeCodes,
]);

/** Whether the way that failed so will never do better. */
export function isPermanent({ code, hop, reason, cause }: HoplineError): boolean {
  if (code === 'PEER_UNRESOLVED') return reason === 'ENOTFOUND';
  // Only a node's own word: bytes that broke on their way are not understood either.
  if (code === 'PEER_PROTOCOL') return hop !== undefined && hop > 0 && cause === undefined;
  return permanentCodes.has(code);
}

/**
 * Holds `error` against whatever is at fault on `way`, which goes from the client to the file and was taken at `takenMs`.
 * A failure of what had failed since is the same one again, seen by another circuit.
 */
export function avoid(
  way: readonly Point[],
  error: HoplineError,
  { nowMs, takenMs, limits }: { readonly nowMs: number; readonly takenMs: number; readonly limits: AvoidanceLimits },
): void {
  const worsen = (earlier: Trouble | undefined, weight: number): Trouble => {
    const isNews = earlier === undefined || takenMs >= earlier.failedMs;
    const failures = (earlier?.failures ?? 0) + (isNews ? 1 : 0);
    const lastsMs = Math.min(limits.avoidMaxMs, limits.avoidMs * 2 ** (failures - 1));
    const worse = Math.max(weight, earlier && isAvoided(earlier, nowMs) ? earlier.weight : 0);
    return { weight: worse, failures, failedMs: nowMs, untilMs: worse === forGood ? forGood : nowMs + lastsMs };
  };
  const { from, point } = findFault(way, error);
  const leg = from === undefined ? [] : way.slice(from, from + 2);
  const [start, end] = leg;
  const worst = isPermanent(error) ? forGood : full;
  // With a hop at fault, the leg only decides which way to that hop is tried first.
  if (start && end) start.legs.set(end, worsen(start.legs.get(end), point && worst === full ? little : worst));
  if (point) point.trouble = worsen(point.trouble, start ? full : worst);
  if (start || point) return;
  const hops = way.slice(1, -1);
  const share = Math.max(1, Math.round(full / hops.length));
  for (const hop of hops) hop.trouble = worsen(hop.trouble, share);
}

/** Forgets what failed on `way` before it was taken at `takenMs`: whoever is full still serves those that came earlier. */
export function forgive(way: readonly Point[], takenMs: number): void {
  for (const [index, point] of way.entries()) {
    if (point.trouble && point.trouble.failedMs <= takenMs) point.trouble = undefined;
    const next = way[index + 1];
    const trouble = next && point.legs.get(next);
    if (trouble && trouble.failedMs <= takenMs) point.legs.delete(next);
  }
}

/** How much to avoid what had this trouble: 0 if not at all, Infinity if at all costs; it fades with time. */
export function weigh(trouble: Trouble | undefined, nowMs: number): number {
  if (!trouble || !isAvoided(trouble, nowMs)) return 0;
  return trouble.weight * Math.ceil(trouble.untilMs - nowMs);
}

/** Milliseconds from now until what had this trouble may be tried again; `jitter` is the part of the wait to take. */
export function backoff(
  trouble: Trouble | undefined,
  { nowMs, jitter, limits }: { readonly nowMs: number; readonly jitter: number; readonly limits: AvoidanceLimits },
): number {
  if (!trouble || !isAvoided(trouble, nowMs)) return 0;
  const waitMs = Math.min(limits.retryMaxMs, limits.retryMinMs * 2 ** (trouble.failures - 1));
  return Math.max(0, Math.ceil(trouble.failedMs + waitMs * jitter - nowMs));
}

function isAvoided({ untilMs }: Trouble, nowMs: number): boolean {
  return untilMs > nowMs;
}

/** What is at fault, if that is known: a point, the leg from place `from` to the next, or both. */
interface Fault {
  readonly from?: number;
  readonly point?: Point | undefined;
}

function findFault(way: readonly Point[], error: HoplineError): Fault {
  const { from, at } = placeFault(error, way.length - 2);
  return { ...(from === undefined ? {} : { from }), point: at === undefined ? undefined : way[at] };
}

/** What is at fault on a way to the hop at place `origin`: a hop, the leg from place `from` to the next, both, or nobody knows. */
export function placeFault(
  { code, hop: place, cause }: HoplineError,
  origin: number,
): { readonly from?: number; readonly at?: number } {
  // An origin without the file may still be a good relay, so the fault lies between the two.
  if (/^(FILE|UPLOAD|DISK|AUTH)_/.test(code)) return { from: origin };
  if (place === undefined || place > origin || code === 'HASH_MISMATCH') return {};
  if (code === 'POLICY_DENIED' || code === 'POOL_UNKNOWN') return { from: place };
  // A node's refusal has no cause here: with one, diagnose.ts found the leg from `place` broken.
  if (place === 0 || onwardCodes.has(code) || cause instanceof HoplineError) {
    return { from: place, ...(place < origin ? { at: place + 1 } : {}) };
  }
  // The leg, since the same node may take another route. Behind the origin there is none.
  return routeCodes.has(code) ? { from: Math.min(place, origin - 1), at: place } : { at: place };
}
