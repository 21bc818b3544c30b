/**
 * The store of a shared registry in Redis, or a server that speaks its protocol.
 *
 * All entries are in one sorted set, each with the time when its lease runs out, by the clock of the store alone. Beside them is
 * one element that never runs out and says since when the set is there: another one shows that it was lost meanwhile. One
 * script reads and writes it all, called by its digest. Knows texts, and nothing of what they say.
 * Invariant: a password in a URL is passed to the client, and to nobody else.
 * Documentation: docs/pools.md#a-shared-registry
 */

import { createHash } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import { type Clock, untilAborted, withDeadline } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import { systemCode } from '../../core/system-errors.ts';
import { isHost } from '../../wire/address.ts';
import { maxEntryBytes } from './lease-text.ts';
import type { Store, StorePlace } from './leases.ts';

/** Limits and clock are asked for whenever they are needed. */
export interface RedisOptions {
  readonly limits: Limits;
  readonly clock: Clock;
  /** Of the store's name. @default the system's, which blocks a thread */
  readonly lookup?: LookupFunction | undefined;
}

const key = 'hopline:members';

/** ARGV: lease in ms, entries at most, bytes of one at most, the digest of what is known, how many to renew, those, and those to give up. */
const script = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = 5 + ARGV[5]
for i = 6, last do redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[1]), ARGV[i]) end
for i = last + 1, #ARGV do redis.call('ZREM', KEYS[1], ARGV[i]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local found, since = {}, false
for _, entry in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if #entry > tonumber(ARGV[3]) then
  elseif string.sub(entry, 1, 6) == 'since ' then since = since or entry
  else found[#found + 1] = entry end
end
if not since then
  since = 'since ' .. time[1] .. '.' .. time[2]
  redis.call('ZADD', KEYS[1], '+inf', since)
end
table.sort(found)
local most = math.min(#found, tonumber(ARGV[2]))
local answer = {redis.sha1hex(since .. ' ' .. table.concat(found, ' ', 1, most))}
if answer[1] ~= ARGV[4] then
  answer[2] = since
  for i = 1, most do answer[i + 2] = found[i] end
end
return answer`;
const scriptDigest = createHash('sha1').update(script).digest('hex');

/** How to reach the store at a URL, and what to call it. Throws `USAGE_INVALID` for what is not such a URL. */
export function redisStore(url: string, options: RedisOptions): StorePlace {
  const name = nameStore(url);
  return { name, connect: (signal) => connect(url, name, options, signal) };
}

/** The URL without who logs in there. Throws `USAGE_INVALID` for what is not such a URL. */
export function nameStore(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const isStore = parsed && /^rediss?:$/.test(parsed.protocol) && isHost(parsed.hostname.replace(/^\[(.*)\]$/, '$1'));
  if (isStore && /^(\/\d{0,5})?$/.test(parsed.pathname) && parsed.search === '' && parsed.hash === '') {
    return `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
  }
  throw new HoplineError(
    'USAGE_INVALID',
    'the registry: expected a URL, redis://[USER:PASSWORD@]HOST:PORT[/DATABASE], or rediss:// for TLS',
  );
}

async function connect(url: string, name: string, options: RedisOptions, outer: AbortSignal): Promise<Store> {
  // Only a node with a registry pays for loading the client.
  const { createClient } = await import('@redis/client');
  const {
    lookup,
    limits: { storeMs: connectTimeout },
  } = options;
  const client = createClient({
    url,
    RESP: 2,
    disableClientInfo: true,
    disableOfflineQueue: true,
    maintNotifications: 'disabled',
    socket: { connectTimeout, reconnectStrategy: false, ...(lookup && { lookup }) },
  });
  /** Why the connection is gone. Who asks after that hears only that it is. */
  let lost: unknown;
  client.on('error', (error) => {
    lost ??= error;
  });
  const close = () => {
    if (client.isOpen) client.destroy();
  };
  const inTime = async <T>(work: Promise<T>, signal?: AbortSignal): Promise<T> => {
    const { clock, limits } = options;
    const late = () => new HoplineError('TIMEOUT_CONNECT', `${name} does not answer within ${limits.storeMs / 1000} s`);
    return withDeadline({ clock, ms: limits.storeMs, late, outer: signal }, (due) =>
      untilAborted(work, due).catch((error) => {
        throw translate(due.aborted ? error : (lost ?? error), name);
      }),
    );
  };
  let digest = '';
  const exchange: Store['exchange'] = async ({ renew, leave }) => {
    const { limits } = options;
    const settings = [limits.leaseMs, limits.maxSharedMembers, maxEntryBytes, digest, renew.length].map(String);
    const told = { keys: [key], arguments: [...settings, ...renew, ...leave] };
    const work = client.evalSha(scriptDigest, told).catch((error) => {
      if (!isUnknownScript(error)) throw error;
      return client.eval(script, told);
    });
    const [next = '', since = '', ...entries] = (await inTime(work)) as readonly string[];
    if (next === digest) return undefined;
    digest = next;
    return { entries, since };
  };
  try {
    await inTime(client.connect(), outer);
  } catch (error) {
    close();
    throw error;
  }
  return { exchange, close };
}

/** The first word of an error is its code; the client has no field for it. */
function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT ');
}

function translate(cause: unknown, name: string): HoplineError {
  if (cause instanceof HoplineError) return cause;
  const message = cause instanceof Error ? cause.message : 'the connection was given up';
  const reason = systemCode(cause);
  return new HoplineError('PEER_UNREACHABLE', `${name}: ${message}`, {
    cause,
    ...(reason === undefined ? {} : { reason }),
  });
}
