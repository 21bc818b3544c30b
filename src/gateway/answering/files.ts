/**
 * Files over HTTP: an exchange that answers GET and HEAD with what a source opens, whole or in ranges.
 *
 * Owns what RFC 9110 says of a representation: its fields, conditions, ranges.
 * Where files come from is the source's affair: a directory, or the end of a route.
 * Invariant: a file that was opened is closed, with the body of its answer or before.
 * Rules: docs/http.md#file-routes
 */

import { createHash, randomBytes } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import { Readable } from 'node:stream';
import mime from 'mime';
import { HoplineError } from '../../core/errors.ts';
import { toAbortSignal } from '../../core/signal.ts';
import { evaluateConditions, isRangeCurrent, type Validators } from '../../http/conditions.ts';
import type { Exchange, FileBody, HttpAnswer, HttpRequest, RawFields } from '../../http/exchange.ts';
import { fieldValue } from '../../http/fields.ts';
import {
  type ByteRange,
  firstBytes,
  formatContentRange,
  frameMultipart,
  type SelectedRanges,
  selectRanges,
} from '../../http/ranges.ts';
import { nameOf, type TargetName } from '../../http/target-name.ts';

/** An open file of one version. */
export interface OpenedFile {
  /** Bytes. */
  readonly size: number;
  /** Names the content: another one whenever a byte is different. */
  readonly version: string;
  /** When it was last modified, in milliseconds since 1970, if that is known. */
  readonly modified?: number | undefined;
  /** A range, which lies within the file. Called anew only when what it gave before has been read. */
  read(offset: number, length: number): Readable | Omit<FileBody, 'close'>;
  /** Ends whatever is being read. May be called again. */
  close(): Promise<void>;
}

export interface FileSource {
  /**
   * Opens `name`, a path with `/` between its parts. `ahead` is what is likely to be read first, and may lie behind the end.
   * Throws `FILE_NOT_FOUND`, `FILE_DENIED`, `FILE_IS_DIRECTORY`, and whatever else can fail.
   */
  open(
    name: string,
    options: { readonly ahead?: ByteRange | undefined; readonly signal: AbortSignal },
  ): Promise<OpenedFile>;
}

export interface FileExchangeOptions {
  /** The time of day, in milliseconds since 1970. @default Date.now */
  readonly now?: () => number;
}

const allow = ['Allow', 'GET, HEAD, OPTIONS'];
const wholeFile: ByteRange = { offset: 0, length: Number.POSITIVE_INFINITY };

/** Makes an exchange of a source. It throws what the source does, but for what HTTP has an answer of its own for. */
export function serveFiles(source: FileSource, { now = Date.now }: FileExchangeOptions = {}): Exchange {
  return async (request) => {
    const { method, target } = request;
    if (method === 'OPTIONS') return answer(204, allow);
    if (method !== 'GET' && method !== 'HEAD') return answer(405, [...allow, 'Content-Length', '0']);
    const asked = nameOf(target);
    if (!asked) return answer(400, ['Content-Length', '0']);
    const file = await open(source, asked, request);
    if (!file) return answer(308, ['Location', asked.asDirectory, 'Content-Length', '0']);
    try {
      const due = judge(file, asked.name, request, now());
      if (due.body === undefined) await file.close();
      return due;
    } catch (error) {
      await file.close();
      throw error;
    }
  };
}

/** Undefined for a directory that was asked for as if it were a file. */
async function open(source: FileSource, { name }: TargetName, request: HttpRequest): Promise<OpenedFile | undefined> {
  const { method, fields, signal } = request;
  const range = fieldValue(fields, 'range');
  // What is not read after all would have come for nothing.
  const ahead =
    method === 'HEAD' || hasConditions(fields) ? undefined : range === undefined ? wholeFile : firstBytes(range);
  try {
    return await source.open(name, { signal: toAbortSignal(signal), ahead });
  } catch (error) {
    if (error instanceof HoplineError && error.code === 'FILE_IS_DIRECTORY') return undefined;
    throw error;
  }
}

/** The answer to a request for a file that is open (RFC 9110, 13.2.2). */
function judge(file: OpenedFile, name: string, request: HttpRequest, nowMs: number): HttpAnswer {
  const { method, fields } = request;
  const validators = validatorsOf(file, nowMs);
  const shared = ['Accept-Ranges', 'bytes', ...formatValidators(validators)];
  const verdict = evaluateConditions(method, fields, validators);
  if (verdict === 'not-modified') return answer(304, shared);
  if (verdict === 'failed') return answer(412, ['Content-Length', '0']);
  const selected: SelectedRanges =
    method === 'GET' && isRangeCurrent(fields, validators, nowMs)
      ? selectRanges(fieldValue(fields, 'range'), file.size)
      : { kind: 'whole' };
  const contentType = mime.getType(name) ?? 'application/octet-stream';
  if (selected.kind === 'none') {
    return answer(416, [...shared, 'Content-Range', formatContentRange(undefined, file.size), 'Content-Length', '0']);
  }
  if (selected.kind === 'ranges') return answerRanges(file, selected.ranges, contentType, shared);
  const whole = [...shared, 'Content-Type', contentType, 'Content-Length', String(file.size)];
  const body = method === 'HEAD' ? undefined : bodyOf(file, { offset: 0, length: file.size });
  return answer(200, whole, body);
}

function answerRanges(
  file: OpenedFile,
  ranges: readonly ByteRange[],
  contentType: string,
  shared: RawFields,
): HttpAnswer {
  const [first, second] = ranges;
  if (first && !second) {
    const own = ['Content-Type', contentType, 'Content-Range', formatContentRange(first, file.size)];
    return answer(206, [...shared, ...own, 'Content-Length', String(first.length)], bodyOf(file, first));
  }
  const frame = frameMultipart(ranges, file.size, contentType, randomBytes(16).toString('hex'));
  const body = Readable.from(joinParts(file, ranges, frame), { objectMode: false });
  const own = ['Content-Type', frame.contentType, 'Content-Length', String(frame.length)];
  return answer(206, [...shared, ...own], closingWith(body, file));
}

function answer(status: number, fields: RawFields, body?: HttpAnswer['body']): HttpAnswer {
  return { status, reason: STATUS_CODES[status] ?? '', fields, body };
}

function hasConditions(fields: RawFields): boolean {
  return ['if-none-match', 'if-modified-since'].some((name) => fieldValue(fields, name) !== undefined);
}

/** A time that is still to come is none that could be sent (RFC 9110, 8.8.2.1). */
function validatorsOf({ version, modified }: OpenedFile, nowMs: number): Validators {
  const isPast = modified !== undefined && modified <= nowMs;
  return { etag: `"${tagOf(version)}"`, lastModified: isPast ? modified : undefined };
}

/** What an origin calls a version may be anything; an entity tag has characters of its own. */
function tagOf(version: string): string {
  if (/^[\x21\x23-\x7e]+$/.test(version)) return version;
  return createHash('sha256').update(version).digest('hex');
}

function formatValidators({ etag = '', lastModified }: Validators): string[] {
  const time = lastModified === undefined ? [] : ['Last-Modified', new Date(lastModified).toUTCString()];
  return ['ETag', etag, ...time];
}

/** Undefined for no bytes. */
function bodyOf(file: OpenedFile, { offset, length }: ByteRange): HttpAnswer['body'] {
  if (length === 0) return undefined;
  const body = file.read(offset, length);
  if (body instanceof Readable) return closingWith(body, file);
  return { ...body, close: () => file.close() };
}

function closingWith(body: Readable, file: OpenedFile): Readable {
  return body.once('close', () => void file.close().catch(() => {}));
}

async function* joinParts(
  file: OpenedFile,
  ranges: readonly ByteRange[],
  { heads, end }: { readonly heads: readonly Buffer[]; readonly end: Buffer },
): AsyncGenerator<Buffer> {
  for (const [index, { offset, length }] of ranges.entries()) {
    const head = heads[index];
    if (head) yield head;
    const body = file.read(offset, length);
    yield* body instanceof Readable ? body : readFrom(body);
  }
  yield end;
}

async function* readFrom({ handle, offset, length }: Omit<FileBody, 'close'>): AsyncGenerator<Buffer> {
  for (let done = 0; done < length; ) {
    const block = Buffer.allocUnsafe(Math.min(length - done, 64 * 1024));
    const { bytesRead } = await handle.read(block, 0, block.length, offset + done);
    if (bytesRead === 0) throw new HoplineError('FILE_CHANGED', 'the file changed while it was read');
    yield block.subarray(0, bytesRead);
    done += bytesRead;
  }
}
