/** What a fetch is told, what it tells on its way, and what came of it. */

import type { Readable, Writable } from 'node:stream';
import type { Clock } from '../core/clock.ts';
import type { HoplineError } from '../core/errors.ts';
import type { OptionNames } from '../core/failure/known-names.ts';
import type { Limits } from '../core/limits.ts';
import type { HttpCache } from '../gateway/cache/cache.ts';
import type { RawFields } from '../http/exchange.ts';
import type { Dial } from '../http/transport/dial.ts';
import type { FileDigest } from '../io/digests/whole-digest.ts';
import type { Reservation } from '../io/disk/writing/target.ts';

export interface FetchOptions {
  /** @default GET, or POST with content */
  readonly method?: string | undefined;
  /** Sent with the request: name, value, name, value. */
  readonly fields?: RawFields | undefined;
  /** Content for the request, opened anew each time that it is sent. */
  readonly body?: { readonly length: number; open(): Readable } | undefined;
  /** Where a success is saved: a file, or a directory to put it into. Without it all goes to `stream`. */
  readonly path?: string | undefined;
  /** Gets the content that is not saved: without `path`, and of an answer that is no success. */
  readonly stream: Writable;
  /** What the content of a success must have before a file gets its name; else `HASH_MISMATCH`. A stream has had it by then. */
  readonly checksum?: FileDigest | undefined;
  /** Replaces an existing file. @default false */
  readonly force?: boolean | undefined;
  /** Follows redirects, at most 10. @default false */
  readonly follow?: boolean | undefined;
  /** A proxy that is asked instead of the server: `HOST:PORT` or a URL with http. */
  readonly proxy?: string | undefined;
  /** Authorities to believe instead of the system's, in PEM. */
  readonly ca?: string | undefined;
  /** Believes any certificate. @default false */
  readonly insecure?: boolean | undefined;
  /** Times to try again what may pass: a lost connection, a status 502, 503 or 504. @default 0 */
  readonly retry?: number | undefined;
  /** For all of it. @default none */
  readonly deadlineMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly limits?: Partial<Limits>;
  readonly clock?: Clock;
  /** Answers where it may, and stores what comes. @default none */
  readonly cache?: Pick<HttpCache, 'wrap'> | undefined;
  /** Opens connections. @default TCP */
  readonly dial?: Dial | undefined;
  readonly onEvent?: ((event: FetchEvent) => void) | undefined;
}

/** By name. */
export const fetchNames = {
  method: true,
  fields: true,
  body: true,
  path: true,
  stream: true,
  checksum: true,
  force: true,
  follow: true,
  proxy: true,
  ca: true,
  insecure: true,
  retry: true,
  deadlineMs: true,
  signal: true,
  limits: true,
  clock: true,
  cache: true,
  dial: true,
  onEvent: true,
} as const satisfies OptionNames<FetchOptions>;

export type FetchEvent =
  /** An answer's head. Throwing refuses its content. `isFinal` unless the request is made again, for a redirect or a try. */
  | ({ readonly kind: 'head'; readonly isFinal: boolean } & FetchHead)
  /** Content begins to arrive; `size` in bytes where it is known, of which `leftBytes` are here. */
  | {
      readonly kind: 'started';
      readonly size: number | undefined;
      readonly leftBytes: number;
      readonly reservation: Reservation;
    }
  | { readonly kind: 'progress'; readonly bytes: number }
  | { readonly kind: 'retry'; readonly failure: HoplineError; readonly waitMs: number }
  /** The transfer ends unfinished; the same call goes on from there. */
  | { readonly kind: 'kept'; readonly bytes: number };

export interface FetchHead {
  readonly method: string;
  /** Without user and password. */
  readonly url: string;
  readonly status: number;
  readonly reason: string;
  readonly fields: RawFields;
  /** Whether content of this answer goes to `stream`. */
  readonly isStreamed: boolean;
  /** What the cache did, if one was asked: `hit`, `stale`, `validated`, `miss`, `collapsed` or `bypass`. */
  readonly cache?: string | undefined;
}

export interface FetchResult {
  /** Where the answer came from in the end. */
  readonly url: string;
  readonly status: number;
  /** The value of Content-Type. */
  readonly type?: string;
  /** Bytes of content. */
  readonly size: number;
  /** The file, or null for the stream. */
  readonly path: string | null;
  /** Whether an earlier file of that name was replaced. */
  readonly replaced: boolean;
  /** Bytes of the file that an earlier run had left. */
  readonly resumedBytes: number;
  /** Of the content, by the algorithm of `checksum`; null without that. */
  readonly digest: FileDigest | null;
  readonly elapsedMs: number;
}
