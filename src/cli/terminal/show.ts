/** What the ways of showing downloads have in common: labelled rows for people, events as JSON lines for scripts. */

import type { DownloadResult } from '../../client/download-result.ts';
import type { Reroute, TransferEvent } from '../../client/transfer-events.ts';
import type { UploadResult } from '../../client/upload/upload.ts';
import { describeHop, type Hop, isPoolHop } from '../../wire/address.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { jsonLine } from './lines.ts';
import { hopCount } from './progress.ts';
import { formatBytes } from './units.ts';

const progressEveryMs = 500;
/** Characters of a key: enough to tell keys apart, as in a log. */
const shortKey = 12;

/** Said once where space cannot be reserved. */
export const sparseNotice = 'this disk cannot reserve space: it may still run full';

/** Prints events as JSON, an object a line; `progress` only now and then. */
export function startJsonLines(stream: NodeJS.WritableStream): (event: string, fields: object) => void {
  let due = 0;
  return (event, fields) => {
    const now = performance.now();
    if (event === 'progress' && now < due) return;
    if (event === 'progress') due = now + progressEveryMs;
    stream.write(jsonLine({ event, ...fields }));
  };
}

/** How much of a file. */
export function formatPart(bytes: number, size: number): string {
  return `${formatBytes(bytes)} of ${formatBytes(size)}`;
}

/** `a:1 -> b:2`. */
export function describeHops(hops: readonly Hop[]): string {
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

/** Bytes a second that came or went in this run. */
export function perSecond({ size, resumedBytes, elapsedMs }: DownloadResult | UploadResult): number {
  return Math.round((size - resumedBytes) / Math.max(elapsedMs / 1000, 0.001));
}

/** The digest that other programs have for the file, or else what there is: the one over its pieces. */
export function rowsOfDigest({
  digest,
  piecesDigest,
}: Pick<DownloadResult | UploadResult, 'digest' | 'piecesDigest'>): (readonly [label: string, text: string])[] {
  if (digest) return [['digest', `${digest.algorithm} ${digest.hex}`]];
  return piecesDigest ? [['pieces', `${piecesDigest.algorithm} ${piecesDigest.hex}`]] : [];
}

/**
 * What is known of `what` that came: that a node with this key vouched for all of it, or that it is as it was told by whoever
 * answered. Of several files, whether each has the same word.
 */
export function rowOfProof(
  what: string,
  proofs: readonly Pick<DownloadResult | UploadResult, 'verifiedBy'>[],
): readonly [label: string, text: string] {
  const keys = new Set(proofs.map(({ verifiedBy }) => verifiedBy));
  const [key] = keys;
  if (key === undefined || keys.has(undefined)) return ['arrived', `undamaged, ${what}`];
  return [
    'verified',
    keys.size === 1 ? `by key ${key.slice(0, shortKey)}, ${what}` : `by a key for each file, ${what}`,
  ];
}

/** What happened on the way, behind the routes of a result. */
export function describeReroutes(reroutes: number): string {
  if (reroutes === 0) return '';
  return `, rerouted ${reroutes === 1 ? 'once' : `${reroutes} times`}`;
}

/** Which members stood in for the pools of a route, behind that. */
export function describeTaken(hops: readonly Hop[]): string {
  return hops.some((hop) => isPoolHop(hop) && hop.member) ? `, over ${describeHops(hops)}` : '';
}

/** Which hop, why, what now: in a line. */
export function tellReroute({ failure, from, to, waitMs }: Reroute): string {
  const soon = waitMs > 0 ? ` in ${(waitMs / 1000).toFixed(1)} s` : '';
  const way = describeHops(to);
  return `${failure.message}; ${way === describeHops(from) ? 'trying again' : `going on over ${way}`}${soon}`;
}

/** The fields of an event for scripts, with hops and errors written out. */
export function jsonOf(event: TransferEvent): object {
  const { kind: _kind, ...fields } = event;
  if (event.kind === 'retry') return { ...fields, hops: event.hops.map(describeHop) };
  if (event.kind === 'fallback') {
    const { code, message, hop } = event.failure;
    return { code, message, hop, hops: event.hops.map(describeHop) };
  }
  if (event.kind !== 'reroute') return fields;
  const { failure, from, to, waitMs } = event;
  const { code, message, hop, reason } = failure;
  return { code, message, hop, reason, from: from.map(describeHop), to: to.map(describeHop), waitMs };
}
