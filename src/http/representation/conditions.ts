/**
 * Whether a request with conditions is to be performed: the preconditions of RFC 9110, section 13, in their order.
 *
 * Pure: gets the fields of a request and what is known of the representation.
 * Invariant: a date that is not one, or is sent twice, is as good as not sent;
 * dates compare in whole seconds, since HTTP has no finer ones.
 * Rules: docs/http/requests.md#conditions
 */

import type { RawFields } from '../exchange.ts';
import { fieldValue } from '../fields.ts';

/** What tells one state of a representation from another. */
export interface Validators {
  /** With its quotes, and `W/` if it is weak. */
  readonly etag?: string | undefined;
  /** Milliseconds since 1970. */
  readonly lastModified?: number | undefined;
}

/** `perform`: go on; `not-modified`: 304; `failed`: 412. */
export type ConditionVerdict = 'perform' | 'not-modified' | 'failed';

/** Judges the conditions of a request (RFC 9110, 13.2.2); `current` is undefined if there is no representation. */
export function evaluateConditions(
  method: string,
  fields: RawFields,
  current: Validators | undefined,
): ConditionVerdict {
  const isRead = method === 'GET' || method === 'HEAD';
  const ifMatch = fieldValue(fields, 'if-match');
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, current, isSameStrong)) return 'failed';
  } else if (isModifiedSince(dateOf(fields, 'if-unmodified-since'), current)) return 'failed';
  const ifNoneMatch = fieldValue(fields, 'if-none-match');
  if (ifNoneMatch !== undefined) {
    if (matches(ifNoneMatch, current, isSameWeak)) return isRead ? 'not-modified' : 'failed';
  } else if (isRead && isUnmodifiedSince(dateOf(fields, 'if-modified-since'), current)) return 'not-modified';
  return 'perform';
}

/**
 * Whether the Range of a request counts (RFC 9110, 13.1.5): without If-Range, or with one that names exactly this state.
 * `date` is when the representation was sent or taken: a modification time counts only if it is a second older.
 */
export function isRangeCurrent(fields: RawFields, current: Validators, date: number): boolean {
  const value = fieldValue(fields, 'if-range');
  if (value === undefined) return true;
  if (/^(W\/)?"/.test(value)) return current.etag !== undefined && isSameStrong(value, current.etag);
  const asked = parseDate(value);
  const { lastModified } = current;
  if (asked === undefined || lastModified === undefined) return false;
  return asked === wholeSeconds(lastModified) && wholeSeconds(date) - asked >= 1000;
}

/** What names exactly this state of a file: RFC 9110, 8.8.1. Undefined if nothing does. */
export function strongValidator(fields: RawFields): string | undefined {
  const etag = fieldValue(fields, 'etag');
  if (etag !== undefined) return /^"[\x21\x23-\x7e\x80-\xff]*"$/.test(etag) ? etag : undefined;
  const [date, changed] = [dateOf(fields, 'date'), dateOf(fields, 'last-modified')];
  if (date === undefined || changed === undefined || date - changed < 1000) return undefined;
  return fieldValue(fields, 'last-modified');
}

/**
 * Milliseconds since 1970 of a date in one of the three forms of HTTP (RFC 9110, 5.6.7), in any case of letters (RFC 9111, 4.2);
 * undefined for anything else. `now` is for years of two digits.
 */
export function parseDate(text: string, now = Date.now()): number | undefined {
  if (!dateForms.some((form) => form.test(text))) return undefined;
  // Only the form of asctime does not say that it is in GMT.
  const time = Date.parse(withFullYear(/GMT$/i.test(text) ? text : `${text} GMT`, now));
  return Number.isNaN(time) ? undefined : time;
}

const month = '(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)';
const dateForms = [
  new RegExp(`^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \\d\\d ${month} \\d{4} \\d\\d:\\d\\d:\\d\\d GMT$`, 'i'),
  new RegExp(`^(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, \\d\\d-${month}-\\d\\d \\d\\d:\\d\\d:\\d\\d GMT$`, 'i'),
  new RegExp(`^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ${month} [\\d ]\\d \\d\\d:\\d\\d:\\d\\d \\d{4}$`, 'i'),
];

/** A year of two digits is the one that is at most 50 years from now, or else the last that ended so. */
function withFullYear(text: string, now: number): string {
  return text.replace(/(-[a-z]{3}-)(\d\d) /i, (_, before: string, digits: string) => {
    const current = new Date(now).getUTCFullYear();
    const year = current - (current % 100) + Number(digits);
    return `${before}${year > current + 50 ? year - 100 : year} `;
  });
}

/** The time in the field called `name`, in lower case; undefined where there is none that can be read. */
export function dateOf(fields: RawFields, name: string): number | undefined {
  const value = fieldValue(fields, name);
  return value === undefined ? undefined : parseDate(value);
}

/** Whether one of a list of entity tags, or `*`, is the representation's. */
function matches(list: string, current: Validators | undefined, isSame: (a: string, b: string) => boolean): boolean {
  if (!current) return false;
  if (list === '*') return true;
  const { etag } = current;
  if (etag === undefined) return false;
  return (list.match(/(W\/)?"[^"]*"/g) ?? []).some((tag) => isSame(tag, etag));
}

function isSameStrong(a: string, b: string): boolean {
  return a === b && !a.startsWith('W/');
}

function isSameWeak(a: string, b: string): boolean {
  return a.replace(/^W\//, '') === b.replace(/^W\//, '');
}

function isModifiedSince(date: number | undefined, current: Validators | undefined): boolean {
  if (date === undefined || current?.lastModified === undefined) return false;
  return wholeSeconds(current.lastModified) > date;
}

function isUnmodifiedSince(date: number | undefined, current: Validators | undefined): boolean {
  if (date === undefined || current?.lastModified === undefined) return false;
  return wholeSeconds(current.lastModified) <= date;
}

function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}
