/**
 * Answers out of the cache: conditions, ranges and HEAD, from content that is complete or still arriving (RFC 9111, section 4.3.2; RFC 9110, sections 13 and 14).
 *
 * Knows how content is reached, not how it came to be stored. Invariant: every
 * answer names its age and says in Cache-Status where it comes from.
 */

import { randomBytes } from 'node:crypto';
import { type CacheStatus, withCacheStatus } from '../../../http/caching/cache-status.ts';
import type { RequestRules } from '../../../http/caching/request-rules.ts';
import { evaluateConditions, isRangeCurrent, parseDate, type Validators } from '../../../http/conditions.ts';
import type { HttpAnswer, HttpRequest, RawFields } from '../../../http/exchange.ts';
import { FieldNames, fieldValue, filterFields, without } from '../../../http/fields.ts';
import { type ByteRange, formatContentRange, frameMultipart, selectRanges } from '../../../http/ranges.ts';
import type { EntryHead } from '../disk/entry-record.ts';
import type { StoredContent } from '../disk/stored-content.ts';
import type { Filling } from './arriving-content.ts';

/** What answers with stored content have in common. */
export interface Serving {
  readonly request: HttpRequest;
  readonly asked: RequestRules;
  readonly head: EntryHead;
  /** Seconds; undefined for whom the answer was fetched. */
  readonly ageS: number | undefined;
  readonly status: CacheStatus;
}

/** Fields that a 304 or a 412 keeps (RFC 9110, 15.4.5). */
const notModifiedFields = new FieldNames([
  'cache-control',
  'content-location',
  'date',
  'etag',
  'expires',
  'vary',
  'cdn-cache-control',
  'cache-status',
]);

/** Answers from content that is stored; closes it unless the body needs it. */
export async function serveContent(serving: Serving, content: StoredContent, bytes: number): Promise<HttpAnswer> {
  if (content.kind === 'memory') return serveBytes(serving, content.bytes);
  const plan = planAnswer(serving, bytes);
  const { source } = content;
  const [range] = plan.ranges;
  if (!range || range.length === 0) {
    await source.close();
    return { ...plan.head, body: undefined };
  }
  if (plan.frame) return { ...plan.head, body: source.stream(plan.ranges, plan.frame.heads, plan.frame.end) };
  return { ...plan.head, body: source.body(range) };
}

/** Answers from content that has just come: from what there is of it, if it is not whole yet. */
export function serveNew(serving: Serving, content: Buffer | Arriving): HttpAnswer {
  return Buffer.isBuffer(content) ? serveBytes(serving, content) : serveFilling(serving, content);
}

/** Content that is still arriving. */
export interface Arriving {
  readonly filling: Filling;
  /** How many it will be, where that is known. */
  readonly bytes: number | undefined;
  readonly trailers?: () => RawFields;
}

function serveBytes(serving: Serving, content: Buffer): HttpAnswer {
  const plan = planAnswer(serving, content.length);
  return { ...plan.head, body: inMemory(plan, content) };
}

function serveFilling(serving: Serving, { filling, bytes, trailers }: Arriving): HttpAnswer {
  // Several parts would each wait for the one before; the whole is an answer, too.
  const isPart = bytes !== undefined && serving.asked.range !== undefined && !serving.asked.range.includes(',');
  const plan = planAnswer(serving, isPart ? bytes : undefined);
  const [range] = plan.ranges;
  if (plan.head.status !== 206 && plan.head.status !== serving.head.status) return { ...plan.head, body: undefined };
  if (plan.head.status === 206 && range) return { ...plan.head, body: filling.follow(range.offset, range.length) };
  return { ...plan.head, body: filling.follow(), ...(trailers ? { trailers } : {}) };
}

interface Plan {
  readonly head: Omit<HttpAnswer, 'body'>;
  /** What is sent of the content; empty for none. */
  readonly ranges: readonly ByteRange[];
  readonly frame?: { readonly heads: readonly Buffer[]; readonly end: Buffer };
}

/** `bytes` is undefined where ranges are out of the question. */
function planAnswer(serving: Serving, bytes: number | undefined): Plan {
  const { request, head, asked } = serving;
  // Of what is stored, conditions are about a 200 (RFC 9111, 4.3.2): a 204 has no content that a client could have already.
  if (asked.isConditional && head.status === 200) {
    const verdict = evaluateConditions(request.method, request.fields, validatorsOf(head));
    if (verdict === 'not-modified') return { head: notModified(serving), ranges: [] };
  }
  if (request.method === 'GET' && asked.range !== undefined && head.status === 200 && bytes !== undefined) {
    const part = planRanges(serving, asked.range, bytes);
    if (part) return part;
  }
  const whole = { status: head.status, reason: head.reason, fields: answerFields(serving, head.fields) };
  return { head: whole, ranges: request.method === 'HEAD' ? [] : [{ offset: 0, length: bytes ?? 0 }] };
}

function planRanges(serving: Serving, range: string, bytes: number): Plan | undefined {
  const { request, head } = serving;
  const { etag, lastModified } = strongValidators(head);
  const dateMs = parseDate(fieldValue(head.fields, 'date') ?? '') ?? head.arrivedMs;
  if (!isRangeCurrent(request.fields, { etag, lastModified }, dateMs)) return undefined;
  const selected = selectRanges(range, bytes);
  if (selected.kind === 'whole') return undefined;
  const fields = without(head.fields, 'content-length', 'content-range');
  if (selected.kind === 'none') {
    const unsatisfied = [
      ...without(fields, 'content-type'),
      'Content-Range',
      formatContentRange(undefined, bytes),
      'Content-Length',
      '0',
    ];
    return {
      head: { status: 416, reason: 'Range Not Satisfiable', fields: answerFields(serving, unsatisfied) },
      ranges: [],
    };
  }
  const { ranges } = selected;
  const [only] = ranges;
  const partial = (changed: RawFields) => ({
    status: 206,
    reason: 'Partial Content',
    fields: answerFields(serving, changed),
  });
  if (ranges.length === 1 && only) {
    const changed = [
      ...fields,
      'Content-Range',
      formatContentRange(only, bytes),
      'Content-Length',
      String(only.length),
    ];
    return { head: partial(changed), ranges };
  }
  const type = fieldValue(fields, 'content-type') ?? 'application/octet-stream';
  const { contentType, length, heads, end } = frameMultipart(ranges, bytes, type, randomBytes(16).toString('hex'));
  const changed = [...without(fields, 'content-type'), 'Content-Type', contentType, 'Content-Length', String(length)];
  return { head: partial(changed), ranges, frame: { heads, end } };
}

function inMemory({ ranges, frame }: Plan, content: Buffer): Buffer | undefined {
  const [only] = ranges;
  if (!only) return undefined;
  if (!frame)
    return only.length === content.length ? content : content.subarray(only.offset, only.offset + only.length);
  const parts = ranges.flatMap(({ offset, length }, index) => [
    frame.heads[index] ?? Buffer.alloc(0),
    content.subarray(offset, offset + length),
  ]);
  return Buffer.concat([...parts, frame.end]);
}

function notModified(serving: Serving): Omit<HttpAnswer, 'body'> {
  const kept = filterFields(serving.head.fields, (name) => notModifiedFields.has(name));
  return { status: 304, reason: 'Not Modified', fields: answerFields(serving, kept) };
}

function answerFields({ ageS, status }: Serving, fields: RawFields): RawFields {
  if (ageS === undefined) return withCacheStatus(fields, status);
  return withCacheStatus([...fields, 'Age', String(Math.max(0, Math.floor(ageS)))], status);
}

/** For If-Modified-Since, when an answer was sent stands in for when it was changed (RFC 9111, 4.3.2). */
function validatorsOf(head: EntryHead): Validators {
  const { etag, lastModified } = strongValidators(head);
  return { etag, lastModified: lastModified ?? parseDate(fieldValue(head.fields, 'date') ?? '') ?? head.arrivedMs };
}

function strongValidators({ fields }: EntryHead): Validators {
  const modified = fieldValue(fields, 'last-modified');
  return { etag: fieldValue(fields, 'etag'), lastModified: modified === undefined ? undefined : parseDate(modified) };
}
