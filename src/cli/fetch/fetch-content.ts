/** What `hopline fetch` sends: how the flags for it are written, and the files behind them. */

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { InvalidArgumentError } from 'commander';
import { HoplineError } from '../../core/errors.ts';
import { systemError } from '../../core/system-errors.ts';
import type { FetchOptions } from '../../fetch/fetch-options.ts';
import { fieldValue } from '../../http/fields.ts';
import { formatTraceparent, parseTraceparent } from '../../wire/traceparent.ts';

interface ContentFlags {
  readonly data?: string;
  readonly header?: readonly string[];
}

/** What is sent: the content, and the fields with its type unless that is given. Throws `USAGE_INVALID`. */
export async function readContent({ data, header = [] }: ContentFlags): Promise<Pick<FetchOptions, 'body' | 'fields'>> {
  if (data === undefined) return { body: undefined, fields: header };
  const isFile = data.startsWith('@');
  const type = isFile ? 'application/octet-stream' : 'application/x-www-form-urlencoded';
  const hasType = fieldValue(header, 'content-type') !== undefined;
  const fields = hasType ? header : [...header, 'Content-Type', type];
  if (!isFile) {
    const bytes = Buffer.from(data);
    return { body: { length: bytes.length, open: () => Readable.from([bytes]) }, fields };
  }
  const file = data.slice(1);
  try {
    const found = await stat(file);
    if (!found.isFile()) throw new HoplineError('USAGE_INVALID', `${file} is not a file that could be sent`);
    const length = found.size;
    // No more than was announced, even if the file grows meanwhile.
    const open = () => (length === 0 ? Readable.from([]) : createReadStream(file, { end: length - 1 }));
    return { body: { length, open }, fields };
  } catch (error) {
    throw systemError('USAGE_INVALID', `cannot read ${file}`, error);
  }
}

const traceField = 'traceparent';

/** With the trace of the environment, `TRACEPARENT`, unless the user sends one; what is none is left out. */
export function withTrace(fields: readonly string[], text = ''): readonly string[] {
  const known = parseTraceparent(text);
  return known && traceOf(fields) === undefined ? [...fields, traceField, formatTraceparent(known)] : fields;
}

/** What is sent as the trace that the request is part of. */
export function traceOf(fields: readonly string[]): string | undefined {
  return fieldValue(fields, traceField);
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** They say how a message is cut, which is not the user's to say, or belong to one connection. */
const framing = ['content-length', 'transfer-encoding', 'connection', 'upgrade', 'trailer', 'te', 'keep-alive'];

export function methodFlag(text: string): string {
  if (token.test(text) && text.toUpperCase() !== 'CONNECT') return text;
  throw new InvalidArgumentError('Expected a method such as GET or DELETE; CONNECT is for --proxy to send.');
}

/** A field to send, as name and value behind those before. */
export function fieldFlag(text: string, earlier: readonly string[] = []): readonly string[] {
  const colon = text.indexOf(':');
  const name = text.slice(0, Math.max(colon, 0));
  const value = text.slice(colon + 1).trim();
  if (!token.test(name) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
    throw new InvalidArgumentError("Expected 'Name: value', in one line.");
  }
  if (framing.includes(name.toLowerCase())) throw new InvalidArgumentError(`${name} is set by hopline itself.`);
  return [...earlier, name, value];
}
