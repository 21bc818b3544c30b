/**
 * An exchange: a function from an HTTP request to its answer. Whatever answers requests is one.
 *
 * Backends are exchanges, the cache wraps one, a site picks one. Knows nothing
 * about how requests arrive or where answers go.
 * Invariant: whoever has an answer consumes its body, or destroys or closes it.
 */

import type { Duplex, Readable } from 'node:stream';
import type { Signal } from '../core/signal.ts';
import type { ReadableFile } from '../io/disk/reading/read-blocks.ts';

/** Fields in their order, as name, value, name, value, as Node's rawHeaders are. Names keep their case. */
export type RawFields = readonly string[];

/**
 * A request on its way to a backend: rebuilt from parsed parts. `fields` are end-to-end fields only, without Host and
 * Content-Length, which are `authority` and `length`.
 */
export interface HttpRequest {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** The host that was asked, lower case, with the port unless it is the scheme's own. */
  readonly authority: string;
  /** Path and query, beginning with `/` (or `*` for OPTIONS). For CONNECT, host and port. */
  readonly target: string;
  readonly fields: RawFields;
  /** Undefined if the request has no content. */
  readonly body: Readable | undefined;
  /** Of the content, where it is known. */
  readonly length?: number | undefined;
  /** What comes behind the content, once it has been read. */
  trailers?(): RawFields;
  /** Who asks: for balancing by client. */
  readonly client: string;
  /** Aborts when whoever asked is gone. */
  readonly signal: Signal;
  /** Whether its answer has to wait for others on the client's connection now. @default it has not */
  readonly isAhead?: (() => boolean) | undefined;
  /** The protocols that the client would go on with instead of HTTP, as its Upgrade has them. */
  readonly upgrade?: string | undefined;
  /** Called for 1xx answers; for 100, which only a client that waits for it gets, without fields. */
  readonly inform?: ((status: number, fields: RawFields) => void) | undefined;
  /** What happened on the way, for the log and for Cache-Status and Proxy-Status; filled in by who knows. */
  readonly notes: ExchangeNotes;
}

export interface ExchangeNotes {
  /** Who answered in the end. */
  backend?: string | undefined;
  retries?: number;
  /** The circuit that the answer came over, as the logs of its nodes call it. */
  circuit?: string | undefined;
  /** What the cache did: `hit`, `stale`, `validated`, `miss`, `collapsed` or `bypass`. */
  cache?: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly reason: string;
  /** End-to-end fields. */
  readonly fields: RawFields;
  readonly body: Body | undefined;
  trailers?(): RawFields;
  /** The connection to the backend, for 101 and for what answers CONNECT: from here on both ends speak as they like. */
  readonly upgraded?: Duplex;
}

/** Content: in memory, as a stream, or a range of an open file, which can leave inside the kernel. */
export type Body = Buffer | Readable | FileBody;

export interface FileBody {
  readonly handle: ReadableFile;
  readonly offset: number;
  readonly length: number;
  close(): Promise<void>;
}

export type Exchange = (request: HttpRequest) => Promise<HttpAnswer>;

/** Ends the content of an answer that nobody wants. */
export async function dropBody(body: Body | undefined): Promise<void> {
  if (body === undefined || Buffer.isBuffer(body)) return;
  if (isStream(body)) body.destroy();
  else await body.close();
}

export function isStream(body: Body): body is Readable {
  return 'pipe' in body;
}

export function isFile(body: Body | undefined): body is FileBody {
  return body !== undefined && 'handle' in body;
}
