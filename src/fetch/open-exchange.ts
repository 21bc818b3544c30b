/**
 * The exchange that a fetch uses: the server itself or its proxy, behind a cache if there is one.
 *
 * Invariant: an answer is stored under no other host than the one that was asked.
 */

import type { Clock } from '../core/clock.ts';
import { HoplineError } from '../core/errors.ts';
import type { Limits } from '../core/limits.ts';
import type { Exchange } from '../http/exchange.ts';
import { fieldValue } from '../http/fields.ts';
import { parseHttpUrl } from '../http/http-url.ts';
import { type Dial, dialDirect } from '../http/transport/dial.ts';
import { createDirectExchange } from '../http/transport/direct.ts';
import { checkAuthorities } from '../http/transport/encrypt.ts';
import { createSystemResolver } from '../io/names/system-resolver.ts';
import type { FetchOptions } from './fetch-options.ts';

/** Throws `USAGE_INVALID` for a proxy that is none. */
export function openExchange(options: FetchOptions, limits: Limits, clock: Clock): Exchange {
  const { proxy, ca, insecure, cache, fields = [] } = options;
  const resolve = createSystemResolver();
  const dial: Dial =
    options.dial ?? ((to, signal) => dialDirect(to, { clock, resolve, signal, connectMs: limits.connectMs }));
  const asked = proxy === undefined ? undefined : parseHttpUrl(proxy);
  if (asked?.scheme === 'https') {
    throw new HoplineError('USAGE_INVALID', 'a proxy is spoken to over http: expected HOST:PORT');
  }
  if (ca !== undefined) checkAuthorities(ca, 'what is given as authorities');
  const direct = createDirectExchange({ ...limits, clock, dial, ca, insecure, proxy: asked });
  // Under another Host, an answer is not that of its URL.
  const isCached = cache !== undefined && fieldValue(fields, 'host') === undefined;
  return isCached ? cache.wrap(direct) : direct;
}
