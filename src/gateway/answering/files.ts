/**
 * Files over HTTP: an exchange that answers GET and HEAD with what a source opens, whole or in ranges.
 *
 * Owns the fields of a file, and which name a request is for. Does not know where files come from: the source, a directory or the
 * end of a route, opens them.
 * Invariant: a file that was opened is closed, with the body of its answer or before.
 * Rules: docs/http/requests.md#file-routes
 */

import { createHash } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import { Readable } from 'node:stream';
import mime from 'mime';
import { HoplineError } from '../../core/errors.ts';
import { toAbortSignal } from '../../core/signal.ts';
import type { Exchange, FileBody, HttpAnswer, HttpRequest, RawFields } from '../../http/exchange.ts';
import { fieldValue, hasAny } from '../../http/fields.ts';
import type { Validators } from '../../http/representation/conditions.ts';
import { type ByteRange, firstBytes, framedRanges } from '../../http/representation/ranges.ts';
import { selectAnswer } from '../../http/representation/select-answer.ts';
import { nameOf, type TargetName } from '../../http/target-name.ts';
import { readBlocks } from '../../io/disk/reading/read-blocks.ts';
import { changed } from '../../io/disk/reading/versioned-file.ts';

/** An open file of one version. */
export interface OpenedFile {
  /** Bytes. */
  readonly size: number;
  /** Names the content: another one whenever a byte is different. */
  readonly version: string;
  /** When it was last modified, in milliseconds since 1970, if that is known. */
  readonly modified?: number | undefined;
  /** The circuit that it was opened over, if any, as the logs of its nodes call it. */
  readonly circuit?: string | undefined;
  /** A range, which lies within the file. Called anew only when what it gave before has been read. */
  read(offset: number, length: number): Readable | Omit<FileBody, 'close'>;
  /** Ends whatever is being read. May be called again. */
  close(): Promise<void>;
}

export interface FileSource {
  /**
   * Opens `name`, a path with `/` between its parts. `ahead` is what is likely to be read first, and may lie behind the end;
   * `traceparent` is what it is opened for.
   * Throws `FILE_NOT_FOUND`, `FILE_DENIED`, `FILE_IS_DIRECTORY`, and whatever else can fail.
   */
  open(
    name: string,
    options: {
      readonly ahead?: ByteRange | undefined;
      readonly signal: AbortSignal;
      readonly traceparent?: string | undefined;
    },
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
    method === 'HEAD' || hasAny(fields, 'if-none-match', 'if-modified-since')
      ? undefined
      : range === undefined
        ? wholeFile
        : firstBytes(range);
  try {
    const traceparent = fieldValue(fields, 'traceparent');
    const file = await source.open(name, { signal: toAbortSignal(signal), ahead, traceparent });
    request.notes.circuit = file.circuit;
    return file;
  } catch (error) {
    if (error instanceof HoplineError && error.code === 'FILE_IS_DIRECTORY') return undefined;
    throw error;
  }
}

/** The answer to a request for a file that is open. */
function judge(file: OpenedFile, name: string, request: HttpRequest, nowMs: number): HttpAnswer {
  const { size } = file;
  const validators = validatorsOf(file, nowMs);
  const fields = [
    ...['Accept-Ranges', 'bytes', ...formatValidators(validators)],
    ...['Content-Type', mime.getType(name) ?? 'application/octet-stream', 'Content-Length', String(size)],
  ];
  const { head, ranges, frame } = selectAnswer(request, {
    head: { status: 200, reason: 'OK', fields },
    size,
    validators,
    dateMs: nowMs,
  });
  const [first] = ranges;
  if (!frame) return { ...head, body: first && bodyOf(file, first) };
  const content = framedRanges(ranges, frame, (range) => readRange(file, range));
  return { ...head, body: closingWith(Readable.from(content, { objectMode: false }), file) };
}

function answer(status: number, fields: RawFields): HttpAnswer {
  return { status, reason: STATUS_CODES[status] ?? '', fields, body: undefined };
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

function readRange(file: OpenedFile, { offset, length }: ByteRange): AsyncIterable<Buffer> {
  const body = file.read(offset, length);
  return body instanceof Readable ? body : readFrom(body);
}

async function* readFrom({ handle, ...range }: Omit<FileBody, 'close'>): AsyncGenerator<Buffer> {
  let read = 0;
  for await (const block of readBlocks(handle, range, (left) => Buffer.allocUnsafe(Math.min(left, 64 * 1024)))) {
    yield block;
    read += block.length;
  }
  if (read < range.length) throw changed();
}
