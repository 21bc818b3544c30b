/**
 * The classic dialect's text: a request of a name and hops, a size, a four-byte go-ahead.
 *
 * Nothing in it is delimited, so a decoder can only say that what it has seen
 * may be complete; the reader waits for a quiet moment to be sure.
 * Format: docs/classic.md
 */

import { HoplineError } from '../../core/errors.ts';
import { type Address, formatHop, isPoolHop, parseAddress } from '../address.ts';
import { bad, type Decoded, more, ok } from '../decoded.ts';
import type { Route } from '../route.ts';

export interface ClassicRequest {
  readonly name: string;
  /** The hops that are left, the receiver first. */
  readonly hops: readonly Address[];
  /** The request without its first hop, plainly written, as the strictest original reads it; what a relay sends on. */
  readonly onward: Buffer;
}

/** What a server says first: the size, that there is no such file, or that a proxy could not go on. */
export type ClassicSize =
  | { readonly kind: 'size'; readonly size: number }
  | { readonly kind: 'not-found' }
  | { readonly kind: 'unreachable' };

/** The bytes of the client's `ack_to_send` that every original program reads, and none reads more. */
export const goAhead = Buffer.from('ack_');
export const notFoundText = 'NA';
export const unreachableText = 'Address not found';

/**
 * Decodes a request that may still grow: `ok` uses all bytes and says that its last line is a whole hop.
 * Bad: `PEER_PROTOCOL` for a line that cannot become a hop, `LIMIT_HEAD` over `maxBytes`.
 */
export function decodeClassicRequest(bytes: Buffer, maxBytes: number): Decoded<ClassicRequest> {
  if (bytes.length > maxBytes) return bad('LIMIT_HEAD', `the classic request is longer than ${maxBytes} bytes`);
  const nameEnd = bytes.indexOf('\n');
  if (nameEnd < 0) return more;
  const lines = bytes
    .subarray(nameEnd + 1)
    .toString('utf8')
    .split(/\r?\n/);
  const hops: Address[] = [];
  for (const [index, line] of lines.entries()) {
    const isLast = index === lines.length - 1;
    if (line.trim() === '') continue;
    const parsed = parseAddress(line);
    if (parsed.kind === 'ok') hops.push(parsed.hop);
    else if (isLast && line.length < 270) return more;
    else return bad('PEER_PROTOCOL', `the classic request has a line that is not a hop: expected ${parsed.expected}`);
  }
  if (hops.length === 0) return more;
  const name = bytes
    .subarray(0, nameEnd)
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .trim();
  return ok({ name, hops, onward: encodeLines(name, hops.slice(1)) }, bytes.length);
}

/**
 * Encodes a request as the original client sends it.
 * Throws `ROUTE_TOO_LONG` over `maxBytes`, which no original reads, and `ROUTE_SYNTAX` for a pool.
 */
export function encodeClassicRequest(route: Route, maxBytes: number): Buffer {
  const hops = route.hops.map((hop) => {
    if (!isPoolHop(hop)) return hop;
    const message = `the route has the pool "${formatHop(hop)}", and the classic dialect knows none`;
    throw new HoplineError('ROUTE_SYNTAX', message);
  });
  const bytes = encodeLines(route.file, hops);
  if (bytes.length > maxBytes) {
    throw new HoplineError(
      'ROUTE_TOO_LONG',
      `the route takes ${bytes.length} bytes in the classic dialect, and the original programs read ${maxBytes}`,
    );
  }
  return bytes;
}

function encodeLines(name: string, hops: readonly Address[]): Buffer {
  return Buffer.from([name, ...hops.map(({ host, port }) => `${host} ${port}`)].join('\n'));
}

/** Decodes a size that may still grow by digits. Bad: `PEER_PROTOCOL` for anything that cannot become one. */
export function decodeClassicSize(bytes: Buffer): Decoded<ClassicSize> {
  const text = bytes.toString('latin1');
  if (text === notFoundText) return ok({ kind: 'not-found' }, bytes.length);
  if (text === unreachableText) return ok({ kind: 'unreachable' }, bytes.length);
  if (notFoundText.startsWith(text) || unreachableText.startsWith(text)) return more;
  const size = Number(text);
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(size)) {
    return bad('PEER_PROTOCOL', 'the peer answered a classic request with something that is not a size');
  }
  return ok({ kind: 'size', size }, bytes.length);
}
