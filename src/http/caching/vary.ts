/**
 * Which requests a stored answer is for: the fields that its Vary names, as the request that brought it had them.
 *
 * Invariant: two values that compare equal mean the same to every origin (RFC 9111, 4.1).
 */

import type { RawFields } from '../exchange.ts';
import { fieldValue } from '../fields.ts';

/** Name in lower case and value, in the order of names; null for a field that was not there. */
export type Selection = readonly (readonly [name: string, value: string | null])[];

/** What Vary, in the fields of an answer, picks out of the request's. */
export function selectBy(answerFields: RawFields, requestFields: RawFields): Selection {
  const names = (fieldValue(answerFields, 'vary') ?? '').split(',').map((name) => name.trim().toLowerCase());
  const unique = [...new Set(names)].filter((name) => name !== '').sort();
  return unique.map((name) => [name, normalValue(requestFields, name)] as const);
}

export function isSelected(selection: Selection, requestFields: RawFields): boolean {
  return selection.every(([name, value]) => normalValue(requestFields, name) === value);
}

/** One text for each selection. */
export function selectionKey(selection: Selection): string {
  return selection.length === 0 ? '' : JSON.stringify(selection);
}

/** Lists with other spaces, or on several lines, are the same; what is negotiated by is so in any case of letters, too. */
function normalValue(fields: RawFields, name: string): string | null {
  const value = fieldValue(fields, name);
  if (value === undefined) return null;
  const spaced = value.includes('"') ? value : value.replace(/\s*,\s*/g, ',').trim();
  return /^accept(-|$)/.test(name) ? spaced.replace(/\s*;\s*/g, ';').toLowerCase() : spaced;
}
