/**
 * Answers out of the cache: conditions, ranges and HEAD, from content that is complete or still arriving (RFC 9111, section 4.3.2; RFC 9110, sections 13 and 14).
 *
 * Knows how content is reached, not how it came to be stored. Invariant: every
 * answer names its age and says in Cache-Status where it comes from.
 */

import { type CacheStatus, withCacheStatus } from '../../../http/caching/cache-status.ts';
import type { RequestRules } from '../../../http/caching/request-rules.ts';
import type { HttpAnswer, HttpRequest, RawFields } from '../../../http/exchange.ts';
import { fieldValue } from '../../../http/fields.ts';
import { dateOf, type Validators } from '../../../http/representation/conditions.ts';
import { type Representation, type SelectedAnswer, selectAnswer } from '../../../http/representation/select-answer.ts';
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
  if (plan.frame) return { ...plan.head, body: source.stream(plan.ranges, plan.frame) };
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
  // Several ranges get the whole: each would wait until the content before it has arrived.
  const isPart = bytes !== undefined && serving.asked.range !== undefined && !serving.asked.range.includes(',');
  const plan = planAnswer(serving, isPart ? bytes : undefined);
  const [range] = plan.ranges;
  if (plan.head.status !== 206 && plan.head.status !== serving.head.status) return { ...plan.head, body: undefined };
  if (plan.head.status === 206 && range) return { ...plan.head, body: filling.follow(range.offset, range.length) };
  return { ...plan.head, body: filling.follow(), ...(trailers ? { trailers } : {}) };
}

/** `size` is undefined where ranges are out of the question. */
function planAnswer({ request, head, ageS, status }: Serving, size: number | undefined): SelectedAnswer {
  const selected = selectAnswer(request, new StoredRepresentation(head, size));
  const age = ageS === undefined ? [] : ['Age', String(Math.max(0, Math.floor(ageS)))];
  return {
    ...selected,
    head: { ...selected.head, fields: withCacheStatus([...selected.head.fields, ...age], status) },
  };
}

/** What is stored, of which validators and date are read only for the few requests that ask about them. */
class StoredRepresentation implements Representation, Validators {
  readonly head: Representation['head'];
  readonly size: number | undefined;
  readonly #arrivedMs: number;

  constructor({ status, reason, fields, arrivedMs }: EntryHead, size: number | undefined) {
    this.head = { status, reason, fields };
    this.size = size;
    this.#arrivedMs = arrivedMs;
  }

  get validators(): Validators {
    return this;
  }

  get etag(): string | undefined {
    return fieldValue(this.head.fields, 'etag');
  }

  /** When an answer was sent stands in for when it was changed (RFC 9111, 4.3.2). */
  get lastModified(): number {
    return dateOf(this.head.fields, 'last-modified') ?? this.dateMs;
  }

  get dateMs(): number {
    return dateOf(this.head.fields, 'date') ?? this.#arrivedMs;
  }
}

function inMemory({ ranges, frame }: SelectedAnswer, content: Buffer): Buffer | undefined {
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
