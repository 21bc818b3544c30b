/**
 * Fields of HTTP messages: finding them, and leaving out those that are for one connection alone.
 *
 * Knows lists of names and values, and nothing about what a value means.
 */

import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { RawFields } from './exchange.ts';

/** Names of fields, to look others up in. Most are told from all of them by their length, which is cheaper than a hash. */
export class FieldNames {
  readonly #byLength: string[][] = [];
  readonly #prefix: string | undefined;

  /** `names` are in lower case, as is `prefix`: whatever begins with it is among them. */
  constructor(names: readonly string[], prefix?: string) {
    this.#prefix = prefix;
    for (const name of names) {
      const alike = this.#byLength[name.length] ?? [];
      alike.push(name);
      this.#byLength[name.length] = alike;
    }
  }

  has(name: string): boolean {
    if (this.#byLength[name.length]?.includes(name.toLowerCase())) return true;
    return this.#prefix !== undefined && beginsWith(name, this.#prefix);
  }
}

/** About one connection, not about the message (RFC 9110, 7.6.1). Trailer and TE are judged where they are needed. */
export const hopByHop: readonly string[] = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'te',
  'transfer-encoding',
  'upgrade',
];

const connectionNames = new FieldNames(hopByHop);

/** What the gateway alone says: where a message ends, what becomes of its connection, where it goes and has been. */
const ownNames = new FieldNames([
  ...hopByHop,
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'max-forwards',
  'trailer',
  'via',
]);
/** What says how content is to be read, and goes on only under its own name. */
const contentNames = new FieldNames(['content-length', 'content-type']);

/** What Connection may name and still goes on: a peer must not have others lose what a message is made of. */
const endToEndAlways: ReadonlySet<string> = new Set([
  'authorization',
  'cache-control',
  'content-length',
  'content-type',
  'cookie',
  'forwarded',
  'host',
  'set-cookie',
  'via',
]);

/** Calls `visit` with each field. A generator would do the same at six times the cost. */
export function forEachField(fields: RawFields, visit: (name: string, value: string) => void): void {
  for (let index = 0; index + 1 < fields.length; index += 2) visit(fields[index] ?? '', fields[index + 1] ?? '');
}

/** The fields that are kept, in their order. */
export function filterFields(fields: RawFields, isKept: (name: string) => boolean): string[] {
  const kept: string[] = [];
  forEachField(fields, (name, value) => {
    if (isKept(name)) kept.push(name, value);
  });
  return kept;
}

/** Fields as Node takes trailers. */
export function fieldPairs(fields: RawFields): [name: string, value: string][] {
  const pairs: [string, string][] = [];
  forEachField(fields, (name, value) => pairs.push([name, value]));
  return pairs;
}

/** Fields as the lines of a head. */
export function fieldLines(fields: RawFields): string {
  return fieldPairs(fields)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
}

/** The values of all fields called `name`, which is in lower case, joined by commas; undefined if there is none. */
export function fieldValue(fields: RawFields, name: string): string | undefined {
  let found: string | undefined;
  // Each request is looked through many times: a function for each look was a twentieth of all that it allocates.
  for (let index = 0; index + 1 < fields.length; index += 2) {
    if (!isNamed(fields[index] ?? '', name)) continue;
    const value = fields[index + 1] ?? '';
    found = found === undefined ? value : `${found}, ${value}`;
  }
  return found;
}

/** The reason phrase of an answer. Nobody acts on it (RFC 9112, 4), so one with control characters gives way to the usual one. */
export function reasonOf({ statusCode = 0, statusMessage = '' }: IncomingMessage): string {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(statusMessage) ? statusMessage : (STATUS_CODES[statusCode] ?? '');
}

/** Whether a field is called `name`, which is in lower case. */
export function isNamed(field: string, name: string): boolean {
  return field.length === name.length && field.toLowerCase() === name;
}

function beginsWith(field: string, prefix: string): boolean {
  // Most are told by their first letter.
  return (field.charCodeAt(0) | 0x20) === prefix.charCodeAt(0) && isNamed(field.slice(0, prefix.length), prefix);
}

/** Fields without those of these names, in lower case. */
export function without(fields: RawFields, ...names: readonly string[]): string[] {
  return filterFields(fields, (name) => !names.includes(name.toLowerCase()));
}

/** Whether there is a field of one of these names, in lower case. */
export function hasAny(fields: RawFields, ...names: readonly string[]): boolean {
  return names.some((name) => fieldValue(fields, name) !== undefined);
}

/** How many fields are called `name`, which is in lower case. */
export function countFields(fields: RawFields, name: string): number {
  let count = 0;
  for (let index = 0; index + 1 < fields.length; index += 2) if (isNamed(fields[index] ?? '', name)) count += 1;
  return count;
}

/** The members of a list, in lower case, without what is empty. */
export function listMembers(value: string | undefined): string[] {
  if (value === undefined) return [];
  return value
    .toLowerCase()
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '');
}

/** The fields that are about the message and not about the connection. `without` has what is left out, `hopByHop` among it. */
export function endToEndFields(fields: RawFields, without = connectionNames): string[] {
  const named = namedByConnection(fields);
  return filterFields(fields, (name) => {
    const read = asRead(name);
    return !without.has(read) && !named?.includes(name.toLowerCase()) && (read === name || !contentNames.has(read));
  });
}

/** What Connection has beside `keep-alive` and `close`, which are no fields. */
function namedByConnection(fields: RawFields): readonly string[] | undefined {
  const value = fieldValue(fields, 'connection');
  if (value === undefined || /^(keep-alive|close)$/i.test(value)) return undefined;
  return listMembers(value).filter((name) => !endToEndAlways.has(name));
}

/** Many an application is told fields by names in which a hyphen and an underscore are the same: one must not pass for the other. */
function asRead(name: string): string {
  return name.includes('_') ? name.replaceAll('_', '-') : name;
}

/** Fields that mean something to whoever routes, frames, reads or trusts a message, and must not come behind it (RFC 9110, 6.5.1). */
const neverBehind =
  /^(accept.*|age|authorization|cache-control|content-(encoding|length|range|type)|cookie|date|expect|expires|forwarded|host|if-.*|location|max-forwards|range|retry-after|set-cookie|trailer|vary|via|warning|www-authenticate|x-forwarded-.*|x-(original|rewrite)-ur[il]|x-http-method.*|x-method-override|x-real-ip|traceparent|tracestate)$/;

/** The trailer fields that may go on. */
export function trailerFields(fields: RawFields): RawFields {
  if (fields.length === 0) return fields;
  return filterFields(endToEndFields(fields), (name) => !neverBehind.test(asRead(name.toLowerCase())));
}

/** What is done to the fields of a message, in this order. Names are compared without case. */
export interface FieldRules {
  readonly remove?: readonly string[] | undefined;
  /** In place of all of that name. */
  readonly set?: Readonly<Record<string, string>> | undefined;
  /** Beside others of that name. */
  readonly add?: Readonly<Record<string, string>> | undefined;
}

/** The first name in the rules that is not theirs to change: the end of a message is where its next one begins. */
export function forbiddenName(rules: FieldRules | undefined): string | undefined {
  const { remove = [], set = {}, add = {} } = rules ?? {};
  return [...remove, ...Object.keys(set), ...Object.keys(add)].find((name) => !isChangeable(name));
}

/** The first value in the rules that looks as if something were put in its place. */
export function forbiddenValue(rules: FieldRules | undefined): string | undefined {
  const { set = {}, add = {} } = rules ?? {};
  return [...Object.values(set), ...Object.values(add)].find(hasVariable);
}

/** Whether a text has a variable as other proxies write them: `$remote_addr`, `${host}`, `%{REMOTE_ADDR}e`, `%[src]`. None is expanded here. */
export function hasVariable(text: string): boolean {
  return /\$[A-Za-z_{]|%[{[]/.test(text);
}

/** Whether rules may change fields of this name. */
export function isChangeable(name: string): boolean {
  return !ownNames.has(asRead(name));
}

export function applyRules(fields: RawFields, rules: FieldRules | undefined): RawFields {
  if (!rules) return fields;
  const { remove = [], set = {}, add = {} } = rules;
  const gone = [...remove, ...Object.keys(set)].map((name) => name.toLowerCase());
  const kept = without(fields, ...gone);
  return [...kept, ...Object.entries(set).flat(), ...Object.entries(add).flat()];
}
