/** Transfers in words: rows for people, values for scripts. */

import type { DownloadResult } from '../../client/download-result.ts';
import type { Reroute } from '../../client/transfer-events.ts';
import type { UploadResult } from '../../client/upload-result.ts';
import type { HoplineError } from '../../core/errors.ts';
import { describeHop, type Hop, isPoolHop } from '../../wire/address.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { hopCount } from './progress.ts';
import { formatBytes, formatRate } from './units.ts';

/** Characters of a key: enough to tell keys apart, as in a log. */
const shortKey = 12;

/** Said once where space cannot be reserved. */
export const sparseNotice = 'this disk cannot reserve space: it may still run full';

export type Row = readonly [label: string, text: string];

/** How much of a file, whose size may be unknown. */
export function formatPart(bytes: number, size: number | undefined): string {
  return size === undefined ? formatBytes(bytes) : `${formatBytes(bytes)} of ${formatBytes(size)}`;
}

/** `a:1 -> b:2`. */
function describeHops(hops: readonly Hop[]): string {
  return hops.map(describeHop).join(' -> ');
}

/** The routes with their alternates and their length, the preferred first. */
export function describeRoutes(routes: RoutePlan['routes']): string {
  const written = routes.map((places) => places.map((place) => place.map(describeHop).join(' | ')).join(' -> '));
  return routes.map((places, index) => `${written[index]} (${hopCount(places.length)})`).join(', or ');
}

/** The routes for scripts: an array a route, of an array a place, of its alternates. */
export function jsonOfRoutes(routes: RoutePlan['routes']): string[][][] {
  return routes.map((places) => places.map((place) => place.map(describeHop)));
}

type Told = Pick<Reroute, 'waitMs'> & Partial<Pick<Reroute, 'from' | 'to'>> & { readonly failure: HoplineError };

interface Damage {
  readonly hops: readonly Hop[];
  readonly attempt: number;
}

type Moved = Pick<DownloadResult, 'size' | 'resumedBytes' | 'elapsedMs'>;

/** The result of one file for scripts. */
export function jsonOfResult<Result extends { readonly hops: readonly Hop[] }>(result: Result): object {
  return { ...result, hops: result.hops.map(describeHop) };
}

/** Bytes a second that came or went in this run. */
export function perSecond({ size, resumedBytes, elapsedMs }: Moved): number {
  return Math.round((size - resumedBytes) / Math.max(elapsedMs / 1000, 0.001));
}

/** The routes that there were, what was taken of them, and what happened on the way. */
export function rowOfRoutes(
  routes: RoutePlan['routes'],
  { hops, reroutes }: Pick<DownloadResult, 'hops' | 'reroutes'>,
): Row {
  const taken = hops.some((hop) => isPoolHop(hop) && hop.member) ? `, over ${describeHops(hops)}` : '';
  const times = reroutes === 1 ? 'once' : `${reroutes} times`;
  return ['route', `${describeRoutes(routes)}${taken}${reroutes === 0 ? '' : `, rerouted ${times}`}`];
}

export function rowOfSize(size: number, resumedBytes = 0): Row {
  const resumed = resumedBytes > 0 ? `, ${formatBytes(resumedBytes)} of it from an earlier run` : '';
  return ['size', `${formatBytes(size)} (${size} bytes)${resumed}`];
}

export function rowOfSpeed({ size, resumedBytes, elapsedMs }: Moved): Row {
  return ['speed', `${formatRate(size - resumedBytes, elapsedMs)}, ${(elapsedMs / 1000).toFixed(2)} s`];
}

/** Behind the name of a file. */
export function describeReplacement({ replaced }: { readonly replaced: boolean }): string {
  return replaced ? ' (replaced the earlier one)' : '';
}

/** The pieces of a file, as what came. */
export function describePieces({ size, pieces }: { readonly size: number; readonly pieces: number }): string {
  if (size === 0) return 'the file is empty';
  return pieces === 1 ? 'the only piece' : `all ${pieces} pieces`;
}

/** The digest that other programs have for the file, or else what there is: the one over its pieces. */
export function rowsOfDigest({
  digest,
  piecesDigest,
}: Pick<DownloadResult | UploadResult, 'digest' | 'piecesDigest'>): Row[] {
  if (digest) return [['digest', `${digest.algorithm} ${digest.hex}`]];
  return piecesDigest ? [['pieces', `${piecesDigest.algorithm} ${piecesDigest.hex}`]] : [];
}

/**
 * What is known of `what` that came: that a node with this key vouched for all of it, or that it is as it was told by whoever
 * answered. Of several files, whether each has the same word. What was there already has not arrived, but was compared.
 */
export function rowOfProof(
  what: string,
  proofs: readonly Pick<DownloadResult | UploadResult, 'verifiedBy'>[],
  { wasThere = false } = {},
): Row {
  const keys = new Set(proofs.map(({ verifiedBy }) => verifiedBy));
  const [key] = keys;
  if (key === undefined || keys.has(undefined)) {
    return wasThere ? ['compared', `the same, ${what}`] : ['arrived', `undamaged, ${what}`];
  }
  return [
    'verified',
    keys.size === 1 ? `by key ${key.slice(0, shortKey)}, ${what}` : `by a key for each file, ${what}`,
  ];
}

/** What failed, and what now: in a line. */
export function tellReroute({ failure, waitMs, from = [], to = [] }: Told): string {
  const soon = waitMs > 0 ? ` in ${(waitMs / 1000).toFixed(1)} s` : '';
  const way = describeHops(to);
  return `${failure.message}; ${way === describeHops(from) ? 'trying again' : `going on over ${way}`}${soon}`;
}

/** That something was damaged on these hops, and what is done `again` about that, for which time. */
export function tellDamage(what: string, { hops, attempt }: Damage, again = 'asking again'): string {
  return `${what} was damaged on ${describeHops(hops)}; ${again} (${attempt})`;
}
