/**
 * A cache's directory seen from outside: what is in it, and flushing it, whether a gateway has it open or not.
 */

import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../../core/clock.ts';
import { HoplineError } from '../../../core/errors.ts';
import { defaultLimits } from '../../../core/limits.ts';
import { silentLogger } from '../../../core/log.ts';
import { systemError } from '../../../core/system-errors.ts';
import { isMeant } from '../../../http/caching/keys.ts';
import { openRegular } from '../../../io/disk/own-file.ts';
import { createHttpCache } from '../cache.ts';
import { readRecord } from '../disk/entry-file.ts';
import { describeEntry, type ListedEntry } from '../disk/entry-record.ts';
import { requestFlush } from './flush-requests.ts';

/** Reads what is stored, of a host or of a URL if `target` is given, without the lock; answers that come and go meanwhile may be missing. Throws `USAGE_INVALID`. */
export async function listHttpCache(directory: string, target?: string): Promise<readonly ListedEntry[]> {
  const listed: ListedEntry[] = [];
  for (const name of await namesIn(directory)) {
    if (!name.endsWith('.entry')) continue;
    const handle = await openRegular(path.join(directory, name));
    if (!handle) continue;
    const read = await readRecord(handle).catch(() => undefined);
    await handle.close();
    if (!read || !isMeant(read.record.head.key, target)) continue;
    listed.push(describeEntry(read.record, read.bytes, Date.now()));
  }
  return listed.sort((a, b) => (a.url < b.url ? -1 : 1));
}

/**
 * Removes what is stored of a host, of a URL, or everything; resolves to how many answers that were. A gateway that has the
 * directory open is asked to do it. Throws `USAGE_INVALID`, or `TIMEOUT_DEADLINE` if it does not answer.
 */
export async function flushHttpCache(directory: string, target?: string): Promise<number> {
  await namesIn(directory);
  try {
    const cache = await createHttpCache({ directory, limits: defaultLimits, log: silentLogger });
    const count = await cache.flush(target);
    await cache.close();
    return count;
  } catch (error) {
    if (!(error instanceof HoplineError) || error.code !== 'DISK_BUSY') throw error;
    return requestFlush(directory, target, { clock: systemClock, limits: defaultLimits });
  }
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (cause) {
    throw systemError('USAGE_INVALID', `--cache: read "${directory}", expected the directory of a cache`, cause);
  }
}
