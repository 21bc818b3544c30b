/**
 * Whether it is beyond doubt where a request ends.
 *
 * The parser refuses most requests where it is not. Here are those that the parser lets through, and that the next
 * program might read in another way (RFC 9112, 6.1 to 6.3).
 */

import type { IncomingMessage } from 'node:http';
import { HoplineError } from '../core/errors.ts';
import type { RawFields } from './exchange.ts';
import { countFields, fieldValue } from './fields.ts';
import type { Refused } from './request-target.ts';

interface Framed {
  readonly method: string;
  readonly isOldest: boolean;
  readonly fields: RawFields;
}

/**
 * What makes the head of an answer none that can be passed on; undefined if nothing does. The parser takes any three digits
 * for a status, and whoever writes the head again does not: a final status is 200 at least (RFC 9110, 15).
 */
export function answerFault({ statusCode = 0, httpVersion, rawHeaders }: IncomingMessage): string | undefined {
  if (statusCode < 200) return `a status that ends no request (${statusCode})`;
  return isFramed(httpVersion, rawHeaders) ? undefined : 'an answer whose end is in doubt';
}

/** The parser has seen to the lengths, but takes HTTP/2.0 for a version it knows. */
export function isFramed(version: string, fields: RawFields): boolean {
  if (version !== '1.1' && version !== '1.0') return false;
  const coding = fieldValue(fields, 'transfer-encoding');
  if (coding === undefined) return countFields(fields, 'content-length') <= 1;
  return version !== '1.0' && coding.toLowerCase() === 'chunked' && countFields(fields, 'content-length') === 0;
}

/** The least that a status line and the end of a head have. */
const leastHeadBytes = 16;

/**
 * Counts what a server sends ahead of its answer, with any number of 1xx, as a part of the head: says of each whether all
 * of them still have at most `maxBytes`.
 */
export function countInterim(maxBytes: number): (fields: RawFields) => boolean {
  let bytes = 0;
  return (fields) => {
    bytes += fields.reduce((sum, text) => sum + text.length, leastHeadBytes);
    return bytes <= maxBytes;
  };
}

export function interimFault(peer: string, maxBytes: number): HoplineError {
  return new HoplineError('PEER_PROTOCOL', `${peer} sent more than ${maxBytes} bytes of 1xx ahead of its answer`);
}

/** Undefined if all is well. */
export function checkFraming({ isOldest, fields }: Framed, maxFields: number): Refused | undefined {
  if (fields.length / 2 > maxFields) {
    return { kind: 'refused', status: 431, why: `there are more than ${maxFields} fields` };
  }
  // Whether content comes at all hangs on it (RFC 9110, 10.1.1); HTTP/1.0 does not know it.
  const expectation = isOldest ? undefined : fieldValue(fields, 'expect');
  if (expectation !== undefined && expectation.toLowerCase() !== '100-continue') {
    return { kind: 'refused', status: 417, why: 'the one expectation that is met is 100-continue' };
  }
  const lengths = countFields(fields, 'content-length');
  const coding = fieldValue(fields, 'transfer-encoding');
  if (coding !== undefined)
    return lengths > 0 ? refused('there are both Content-Length and Transfer-Encoding') : checkCoding(coding, isOldest);
  if (lengths > 1) return refused('there is more than one Content-Length');
  if (lengths === 1 && !/^(0|[1-9]\d{0,14})$/.test(fieldValue(fields, 'content-length') ?? '')) {
    return refused('Content-Length is not a number of bytes');
  }
  return undefined;
}

function checkCoding(coding: string, isOldest: boolean): Refused | undefined {
  if (isOldest) return refused('HTTP/1.0 has no Transfer-Encoding');
  // Without chunked at its end, nobody can say where the content ends (RFC 9112, 6.3).
  if (!/(^|[,\s])chunked\s*$/i.test(coding)) return refused('Transfer-Encoding does not end in chunked');
  if (coding.toLowerCase() === 'chunked') return undefined;
  return { kind: 'refused', status: 501, why: 'Transfer-Encoding may be chunked and nothing else' };
}

function refused(why: string): Refused {
  return { kind: 'refused', status: 400, why };
}
