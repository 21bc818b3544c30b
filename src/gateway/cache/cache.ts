/**
 * A shared or private cache around exchanges, as RFC 9111 has it.
 *
 * Owns the parts of the cache from its opening to its end. Does not know what happens to a request.
 * Invariant: once `close()` has settled, nothing is being written and the directory is free.
 * Rules: docs/http/cache.md
 */

import { type Clock, systemClock } from '../../core/clock.ts';
import { type OptionNames, refuseUnknown } from '../../core/failure/known-names.ts';
import type { Limits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import { isMeant } from '../../http/caching/keys.ts';
import type { Exchange } from '../../http/exchange.ts';
import { serveFlushRequests } from './admin/flush-requests.ts';
import { describeEntry, type ListedEntry } from './disk/entry-record.ts';
import { CacheStore } from './disk/store.ts';
import { Courses } from './flow/answer-cached.ts';
import { OriginAsker } from './flow/ask-origin.ts';
import { Flights } from './flow/shared-fetches.ts';

export interface HttpCacheOptions {
  readonly directory: string;
  /** Bytes on disk. @default limits.maxCacheBytes */
  readonly maxBytes?: number | undefined;
  /** False for the cache of one user. @default true */
  readonly shared?: boolean;
  readonly limits: Limits;
  readonly log: Logger;
  /** Milliseconds since 1970. @default Date.now */
  readonly now?: () => number;
  /** For looking after requests to flush, and at how quick the disk is. @default systemClock */
  readonly clock?: Clock;
}

const names = {
  directory: true,
  maxBytes: true,
  shared: true,
  limits: true,
  log: true,
  now: true,
  clock: true,
} as const satisfies OptionNames<HttpCacheOptions>;

/** How one site's answers are treated. */
export interface SiteCacheOptions {
  /** Seconds that an answer is fresh which names no lifetime itself. */
  readonly ttlS?: number | undefined;
  /** Seconds that every answer is fresh which may be stored at all, whatever lifetime it names. */
  readonly overrideS?: number | undefined;
}

export interface CacheStats {
  readonly entries: number;
  readonly bytes: number;
  readonly memoryBytes: number;
  readonly hits: number;
  readonly misses: number;
}

export interface HttpCache {
  /** The same exchange, answered from the cache where that may be. */
  wrap(exchange: Exchange, site?: SiteCacheOptions): Exchange;
  stat(): CacheStats;
  list(): readonly ListedEntry[];
  /** Removes what is stored of a host, of a URL, or everything; resolves to how many entries that were. */
  flush(target?: string): Promise<number>;
  /** Waits for what is being stored, and frees the directory. */
  close(): Promise<void>;
}

/** Opens the cache in a directory, which is made if it is not there. Throws `USAGE_INVALID`, or `DISK_BUSY` if another process has it. */
export async function createHttpCache(options: HttpCacheOptions): Promise<HttpCache> {
  refuseUnknown(options, { by: 'createHttpCache', names });
  const { directory, log, maxBytes = options.limits.maxCacheBytes, now = Date.now, clock = systemClock } = options;
  const limits = { ...options.limits, maxCacheEntryBytes: Math.min(options.limits.maxCacheEntryBytes, maxBytes) };
  const store = await CacheStore.open({ directory, maxBytes, limits, log, clock });
  const fetcher = new OriginAsker({ store, limits, log, now });
  const flights = new Flights(fetcher, limits, now);
  const courses = new Courses({ store, fetcher, flights, now });
  const flush = async (target?: string) => {
    flights.forget((key) => isMeant(key, target));
    fetcher.outdate((key) => isMeant(key, target));
    const entries = [...store.all()].filter(({ record }) => isMeant(record.head.key, target));
    for (const entry of entries) await store.remove(entry);
    return entries.length;
  };
  const requests = serveFlushRequests(directory, flush, { clock, limits });
  return {
    wrap: (exchange, site = {}) => {
      const rules = { shared: options.shared ?? true, ...site };
      return (request) => courses.answer({ exchange, rules, request });
    },
    stat: () => ({ ...store.size, ...courses.counts }),
    list: () => [...store.all()].map(({ record, bytes }) => describeEntry(record, bytes, now())),
    flush,
    close: async () => {
      await requests.close();
      flights.stop();
      await fetcher.settle();
      await store.close();
    },
  };
}
