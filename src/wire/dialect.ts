/**
 * Tells from the first bytes of a connection what the peer speaks.
 *
 * Only looks; decoding is for the dialect's own codec.
 * Rules: docs/protocol/circuits.md#dialects
 */

import { type Decoded, more, ok } from './decoded.ts';
import { firstFrameByte } from './native/frame.ts';

export type Dialect = 'native' | 'classic' | 'packet' | 'http' | 'tls' | 'pickle' | 'unknown';

/** Decides once the bytes leave no doubt; uses none of them. A line over `maxLineBytes` is `unknown`. */
export function detectDialect(bytes: Buffer, maxLineBytes: number): Decoded<Dialect> {
  const first = bytes[0];
  if (first === undefined) return more;
  if (first === firstFrameByte) return ok('native', 0);
  if (first === 0x16) return ok('tls', 0);
  if (first === 0x80) return ok('pickle', 0);
  // A blank begins no name of a file, nor a packet.
  if (first <= 0x20 || first === 0x7f) return ok('unknown', 0);
  const start = bytes.toString('latin1', 0, maxLineBytes);
  // An empty object and an array are no packets, and are refused as such, in JSON; a name may be in braces.
  if (/^(\{\s*["}]|\[)/.test(start)) return ok('packet', 0);
  if (/^\{\s*$/.test(start) && bytes.length <= maxLineBytes) return more;
  return detectLine(start, bytes, maxLineBytes);
}

/** By the first line: a request of HTTP, or else a classic one. */
function detectLine(start: string, bytes: Buffer, maxLineBytes: number): Decoded<Dialect> {
  const lineEnd = bytes.indexOf('\n');
  if (lineEnd > maxLineBytes || (lineEnd < 0 && bytes.length > maxLineBytes)) {
    // A URL may be longer than any classic request.
    return ok(/^[A-Z-]+ \S+$/.test(start) ? 'http' : 'unknown', 0);
  }
  if (lineEnd < 0) return more;
  return ok(/^[A-Z-]+ \S+ HTTP\/\d\.\d\r?$/.test(start.slice(0, lineEnd)) ? 'http' : 'classic', 0);
}
