/**
 * The values of a packet's fields as text, and how they are written: each may be a number of JSON or a string.
 *
 * Invariant: the text of a number is the one that came; JavaScript may not hold as much.
 */

import type { MembersOf } from './json-object.ts';

/** How a value is written. */
export type Form = 'number' | 'string';

/** The value of a field as it is written in JSON; undefined if there is none. */
export function token({ bytes, members }: MembersOf, name: string): string | undefined {
  const span = members.get(name);
  return span && bytes.toString('utf8', span.start, span.end);
}

/** How a field is written; undefined if it is neither a number nor a string. */
export function formOf({ bytes, members }: MembersOf, name: string): Form | undefined {
  const span = members.get(name);
  const first = span && bytes.toString('latin1', span.start, span.start + 1);
  if (first === '"') return 'string';
  return first !== undefined && /[-\d]/.test(first) ? 'number' : undefined;
}

/** The text of a field that is a string or a number. */
export function textOf(read: MembersOf, name: string): string | undefined {
  const form = formOf(read, name);
  const written = form && token(read, name);
  return written !== undefined && form === 'string' ? JSON.parse(written) : written;
}

/** Text in JSON: as a number if it is one in plain digits and numbers are asked for, and as a string otherwise. */
export function inForm(value: string, form: Form): string {
  return form === 'number' && /^(0|-?[1-9]\d*)$/.test(value) ? value : JSON.stringify(value);
}

/** An object of values that are in JSON already. */
export function encode(fields: Readonly<Record<string, string>>): Buffer {
  const members = Object.entries(fields).map(([name, value]) => `${JSON.stringify(name)}:${value}`);
  return Buffer.from(`{${members.join(',')}}`);
}
