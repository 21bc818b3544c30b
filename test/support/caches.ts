/** A cache in a directory of its own, in front of an origin that a test scripts, with a clock moved by hand. */

import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import type { Clock } from '../../src/core/clock.ts';
import { defaultLimits, type Limits } from '../../src/core/limits.ts';
import { silentLogger } from '../../src/core/log.ts';
import { createHttpCache, type HttpCache, type SiteCacheOptions } from '../../src/gateway/cache/cache.ts';
import type { Exchange, HttpAnswer, HttpRequest } from '../../src/http/exchange.ts';
import { fieldValue } from '../../src/http/fields.ts';
import { makeTempRoot } from './temp-root.ts';

type Fields = Readonly<Record<string, string>>;

/** What the scripted origin says. */
export interface Scripted {
  readonly status?: number;
  readonly fields?: Fields;
  readonly body?: string | Buffer | Readable;
  readonly trailers?: Fields;
}

export interface Asking {
  readonly method?: string;
  readonly authority?: string;
  readonly target?: string;
  readonly fields?: Fields;
  readonly body?: Readable;
  readonly signal?: AbortSignal;
}

/** An answer as a client sees it. */
export interface Seen {
  readonly status: number;
  readonly body: Buffer;
  readonly text: string;
  field(name: string): string | undefined;
  readonly verdict: string | undefined;
}

export interface CacheSetup {
  readonly cache: HttpCache;
  readonly directory: string;
  /** Requests that reached the origin. */
  readonly reached: HttpRequest[];
  /** What the origin says from now on. */
  script: (request: HttpRequest) => Scripted | Promise<Scripted>;
  ask(asking?: Asking): Promise<Seen>;
  /** The answer with its body unread. */
  start(asking?: Asking): Promise<HttpAnswer>;
  advance(seconds: number): void;
  /** Closes the cache, and opens the directory again. */
  restart(): Promise<void>;
}

export interface CacheSetupOptions {
  readonly site?: SiteCacheOptions;
  readonly shared?: boolean;
  readonly limits?: Partial<Limits>;
  readonly maxBytes?: number;
  readonly clock?: Clock;
  readonly onWarning?: (message: string) => void;
}

export async function makeCache(t: TestContext, options: CacheSetupOptions = {}): Promise<CacheSetup> {
  let cache: HttpCache | undefined;
  // Before the directory is removed: the first to be registered runs first.
  t.after(() => cache?.close());
  const { path: directory } = await makeTempRoot(t);
  const reached: HttpRequest[] = [];
  let nowMs = Date.UTC(2026, 0, 1);
  const { site, shared = true, limits = {}, maxBytes, clock, onWarning = () => {} } = options;
  const open = () =>
    createHttpCache({
      directory,
      shared,
      ...(maxBytes === undefined ? {} : { maxBytes }),
      ...(clock ? { clock } : {}),
      limits: { ...defaultLimits, cachePollMs: 5, ...limits },
      log: { ...silentLogger, warn: (_, message) => onWarning(message) },
      now: () => nowMs,
    });
  const origin: Exchange = async (request) => {
    reached.push(request);
    return answerOf(await setup.script(request), new Date(nowMs).toUTCString());
  };
  let opened = await open();
  cache = opened;
  let exchange = opened.wrap(origin, site);
  const setup: CacheSetup = {
    get cache() {
      return opened;
    },
    directory,
    reached,
    script: () => ({}),
    ask: async (asking) => see(await setup.start(asking)),
    start: (asking) => exchange(requestOf(asking)),
    advance: (seconds) => {
      nowMs += seconds * 1000;
    },
    restart: async () => {
      await opened.close();
      opened = await open();
      cache = opened;
      exchange = opened.wrap(origin, site);
    },
  };
  return setup;
}

/** Reads an answer to its end. */
export async function see(answer: HttpAnswer): Promise<Seen> {
  const body = await readBody(answer);
  const field = (name: string) => fieldValue(answer.fields, name);
  return { status: answer.status, body, text: body.toString(), field, verdict: field('cache-status') };
}

async function readBody({ body }: HttpAnswer): Promise<Buffer> {
  if (body === undefined) return Buffer.alloc(0);
  if (Buffer.isBuffer(body)) return body;
  if (body instanceof Readable) return buffer(body);
  const bytes = Buffer.alloc(body.length);
  try {
    await body.handle.read(bytes, 0, body.length, body.offset);
  } finally {
    await body.close();
  }
  return bytes;
}

function requestOf(asking: Asking = {}): HttpRequest {
  const { method = 'GET', authority = 'example.org', target = '/', fields = {}, body, signal } = asking;
  return {
    method,
    scheme: 'http',
    authority,
    target,
    fields: Object.entries(fields).flat(),
    body,
    client: '192.0.2.1',
    signal: signal ?? new AbortController().signal,
    notes: {},
  };
}

function answerOf({ status = 200, fields = {}, body = 'content', trailers }: Scripted, date: string): HttpAnswer {
  const isEmpty = status === 304 || status === 204;
  const stream = body instanceof Readable ? body : Readable.from([Buffer.from(body)], { objectMode: false });
  const length = body instanceof Readable || isEmpty ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
  return {
    status,
    reason: '',
    fields: Object.entries({ Date: date, ...length, ...fields }).flat(),
    body: isEmpty ? undefined : stream,
    ...(trailers ? { trailers: () => Object.entries(trailers).flat() } : {}),
  };
}
