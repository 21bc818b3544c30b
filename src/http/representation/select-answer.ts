/**
 * What a request for a representation is answered: all of it, ranges of it, or that the client has it already (RFC 9110, 13 to 15).
 *
 * Pure: knows what the whole would be answered with, and says which bytes leave behind which head. Does not know where bytes come
 * from. Invariant: what is selected is all that leaves, and as long as the head says.
 * Rules: docs/http/requests.md#ranges
 */

import { randomBytes } from 'node:crypto';
import type { HttpAnswer, HttpRequest } from '../exchange.ts';
import { FieldNames, fieldValue, filterFields, without } from '../fields.ts';
import { evaluateConditions, isRangeCurrent, type Validators } from './conditions.ts';
import { type ByteRange, formatContentRange, frameMultipart, type MultipartFrame, selectRanges } from './ranges.ts';

/** Conditions and ranges are for a status of 200 alone; for other requests neither validators nor date are read. */
export interface Representation {
  /** What the whole is answered with. */
  readonly head: Omit<HttpAnswer, 'body'>;
  /** Bytes; undefined where ranges are out of the question. */
  readonly size: number | undefined;
  readonly validators: Validators;
  /** When it was sent or taken, in milliseconds since 1970. */
  readonly dateMs: number;
}

export interface SelectedAnswer {
  readonly head: Omit<HttpAnswer, 'body'>;
  /** What is sent of the content; empty for none. */
  readonly ranges: readonly ByteRange[];
  /** Around the ranges, if there are several. */
  readonly frame?: MultipartFrame;
}

/** Fields that a 304 keeps (RFC 9110, 15.4.5). */
const notModifiedFields = new FieldNames([
  'accept-ranges',
  'cache-control',
  'content-location',
  'date',
  'etag',
  'expires',
  'last-modified',
  'vary',
  'cdn-cache-control',
  'cache-status',
]);

/** Selects what a GET or HEAD gets of a representation. */
export function selectAnswer(
  { method, fields }: Pick<HttpRequest, 'method' | 'fields'>,
  representation: Representation,
): SelectedAnswer {
  const { head, size, validators } = representation;
  const whole = { head, ranges: method === 'HEAD' ? [] : [{ offset: 0, length: size ?? 0 }] };
  // A 204 has no content that a client could have already (RFC 9111, 4.3.2).
  if (head.status !== 200) return whole;
  const verdict = evaluateConditions(method, fields, validators);
  if (verdict === 'failed') return withoutContent(412, 'Precondition Failed', ['Content-Length', '0']);
  if (verdict === 'not-modified') {
    return withoutContent(
      304,
      'Not Modified',
      filterFields(head.fields, (name) => notModifiedFields.has(name)),
    );
  }
  const range = method === 'GET' ? fieldValue(fields, 'range') : undefined;
  if (range === undefined || size === undefined || !isRangeCurrent(fields, validators, representation.dateMs))
    return whole;
  const selected = selectRanges(range, size);
  if (selected.kind === 'whole') return whole;
  const shared = without(head.fields, 'content-length', 'content-range');
  if (selected.kind === 'none') {
    const own = ['Content-Range', formatContentRange(undefined, size), 'Content-Length', '0'];
    return withoutContent(416, 'Range Not Satisfiable', [...without(shared, 'content-type'), ...own]);
  }
  const { ranges } = selected;
  const partial = { status: 206, reason: 'Partial Content' };
  const [first, second] = ranges;
  if (first && !second) {
    const own = ['Content-Range', formatContentRange(first, size), 'Content-Length', String(first.length)];
    return { head: { ...partial, fields: [...shared, ...own] }, ranges };
  }
  const type = fieldValue(shared, 'content-type') ?? 'application/octet-stream';
  const frame = frameMultipart(ranges, size, type, randomBytes(16).toString('hex'));
  const own = ['Content-Type', frame.contentType, 'Content-Length', String(frame.length)];
  return { head: { ...partial, fields: [...without(shared, 'content-type'), ...own] }, ranges, frame };
}

function withoutContent(status: number, reason: string, fields: string[]): SelectedAnswer {
  return { head: { status, reason, fields }, ranges: [] };
}
