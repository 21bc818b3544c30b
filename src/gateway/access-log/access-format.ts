/**
 * One request as one line of the access log: combined, as web servers write it, or JSON with all that is known.
 *
 * Pure. Everything that came from a client is written so that a line stays a line: control bytes, quotes and
 * backslashes escaped, secrets in queries masked if that was asked for.
 * Documentation: docs/http/gateway.md#access-log
 */

import { escapeText } from '../../core/text.ts';

export interface AccessRecord {
  /** When the request arrived, in milliseconds since 1970. */
  readonly time: number;
  /** The address of whoever asked. */
  readonly client: string;
  /** Who logged in with a password. */
  readonly user?: string | undefined;
  /** The host of the site as it is configured; undefined if there is none for the request. */
  readonly site?: string | undefined;
  /** The server that answered, or the hops to it. */
  readonly backend?: string | undefined;
  readonly method: string;
  /** As the client sent it. */
  readonly target: string;
  /** `1.0` or `1.1`. */
  readonly version: string;
  readonly status: number;
  /** Bytes of content that were sent. */
  readonly bytes: number;
  /** Milliseconds until the answer's head; undefined if there was none. */
  readonly firstByteMs?: number | undefined;
  /** Milliseconds until all was sent, or the request failed. */
  readonly totalMs: number;
  /** What the cache did. */
  readonly cache?: string | undefined;
  /** Tries after the first one. */
  readonly retries: number;
  /** 32 hexadecimal digits: the trace id of `traceparent`; undefined for a request that was refused. */
  readonly id?: string | undefined;
  /** The circuit that the answer came over, as the logs of its nodes call it. */
  readonly circuit?: string | undefined;
  readonly referer?: string | undefined;
  readonly userAgent?: string | undefined;
  /** The code of what went wrong. */
  readonly error?: string | undefined;
}

export type AccessFormat = 'combined' | 'json';

/** Query parameters whose values are not written, by their names, without case; or the values of all. */
export type MaskQuery = readonly string[] | 'all';

export type FormatAccess = (record: AccessRecord) => string;

/** Makes lines, each with its line end. */
export function createAccessFormat(format: AccessFormat, mask: MaskQuery = []): FormatAccess {
  const masked = createMask(mask);
  return format === 'json' ? (record) => jsonLine(record, masked) : createCombined(masked);
}

type Mask = (target: string) => string;

function jsonLine(record: AccessRecord, mask: Mask): string {
  const { time, target, referer, firstByteMs, totalMs, ...fields } = record;
  const line = {
    time: new Date(time).toISOString(),
    ...fields,
    target: mask(target),
    referer: referer === undefined ? undefined : mask(referer),
    firstByteMs: firstByteMs === undefined ? undefined : rounded(firstByteMs),
    totalMs: rounded(totalMs),
  };
  return `${escapeText(JSON.stringify(line))}\n`;
}

/** Microseconds are more than anyone reads. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

function createCombined(mask: Mask): FormatAccess {
  const stamp = createStamp();
  return ({ time, client, user, method, target, version, status, bytes, referer, userAgent }) => {
    const request = `${escaped(method)} ${escaped(mask(target))} HTTP/${version}`;
    const from = referer === undefined ? '-' : escaped(mask(referer));
    const agent = userAgent === undefined ? '-' : escaped(userAgent);
    const who = user === undefined ? '-' : escapedName(user);
    return `${client} - ${who} [${stamp(time)}] "${request}" ${status} ${bytes || '-'} "${from}" "${agent}"\n`;
  };
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Dates change once a second, lines come by the thousand. */
function createStamp(): (time: number) => string {
  let second = Number.NaN;
  let text = '';
  return (time) => {
    const now = Math.floor(time / 1000);
    if (now === second) return text;
    second = now;
    const date = new Date(now * 1000);
    const day = String(date.getUTCDate()).padStart(2, '0');
    text = `${day}/${months[date.getUTCMonth()]}/${date.getUTCFullYear()}:${date.toISOString().slice(11, 19)} +0000`;
    return text;
  };
}

const unsafe = /[^\x20-\x7e]|["\\]/;

function escaped(text: string): string {
  if (!unsafe.test(text)) return text;
  return Buffer.from(text, 'latin1').reduce((line, byte) => line + escapedByte(byte), '');
}

/** In UTF-8, and without a space, which would be the end of it. */
function escapedName(name: string): string {
  return escaped(Buffer.from(name, 'utf8').toString('latin1')).replaceAll(' ', '\\x20');
}

function escapedByte(byte: number): string {
  if (byte === 0x22) return '\\"';
  if (byte === 0x5c) return '\\\\';
  return byte >= 0x20 && byte <= 0x7e ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
}

function createMask(mask: MaskQuery): Mask {
  if (mask !== 'all' && mask.length === 0) return (target) => target;
  const names = mask === 'all' ? undefined : new Set(mask.map((name) => name.toLowerCase()));
  return (target) => {
    const start = target.indexOf('?');
    if (start < 0) return target;
    const parts = target.slice(start + 1).split('&');
    return `${target.slice(0, start + 1)}${parts.map((part) => maskPart(part, names)).join('&')}`;
  };
}

/** A part without a name is a value, for all that is known. */
function maskPart(part: string, names: ReadonlySet<string> | undefined): string {
  const end = part.indexOf('=');
  if (end < 0) return names || part === '' ? part : '***';
  const name = part.slice(0, end);
  return !names || names.has(decoded(name).toLowerCase()) ? `${name}=***` : part;
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name.replaceAll('+', ' '));
  } catch {
    return name;
  }
}
