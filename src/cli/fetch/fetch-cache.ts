/**
 * The cache of `hopline fetch`: private, in the place where the system keeps a user's caches.
 *
 * A cache only helps: where it cannot be opened, the fetch goes on without it.
 */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { asHoplineError } from '../../core/errors.ts';
import { defaultLimits } from '../../core/limits.ts';
import { silentLogger } from '../../core/log.ts';
import { flushHttpCache } from '../../gateway/cache/admin/inspect.ts';
import { createHttpCache, type HttpCache } from '../../gateway/cache/cache.ts';
import { parseHttpUrl } from '../../http/http-url.ts';
import { userCaches } from '../cache-place.ts';

/** Opens the cache; undefined if another fetch has it open, or, with a word to the user, if that fails. */
export async function openFetchCache(
  say: (line: string) => void,
  ttlMs: number | undefined,
): Promise<HttpCache | undefined> {
  try {
    const directory = cacheDirectory();
    const cache = await createHttpCache({ directory, shared: false, limits: defaultLimits, log: silentLogger });
    const ttlS = ttlMs === undefined ? undefined : ttlMs / 1000;
    return { ...cache, wrap: (exchange) => cache.wrap(exchange, { ttlS }) };
  } catch (error) {
    const { code, message } = asHoplineError(error);
    if (code !== 'DISK_BUSY') say(`going on without the cache: ${message}`);
    return undefined;
  }
}

/** Removes what is stored of a URL, or everything; resolves to how many answers that were. */
export async function flushFetchCache(url: string | undefined): Promise<number> {
  const directory = cacheDirectory();
  const target = url === undefined ? undefined : parseHttpUrl(url).href;
  return existsSync(directory) ? flushHttpCache(directory, target) : 0;
}

function cacheDirectory(): string {
  const { HOPLINE_CACHE } = process.env;
  if (HOPLINE_CACHE) return path.resolve(HOPLINE_CACHE);
  // There a directory of that name has all that a program keeps.
  const parts = process.platform === 'win32' ? ['hopline', 'cache'] : ['hopline'];
  return path.join(userCaches(), ...parts);
}
