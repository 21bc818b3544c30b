/** What the access log keeps of a request that is over. */

import { fieldValue } from '../../http/fields.ts';
import type { Ended } from '../server/http-server.ts';
import type { AccessRecord } from './access-format.ts';

/** Of a request that ended just now. */
export function accessRecord(ended: Ended): AccessRecord {
  const { request, status, notes, site, client, trace, failure, bytes, firstMs, totalMs } = ended;
  return {
    time: Date.now() - totalMs,
    client,
    site,
    backend: notes.backend,
    method: request.method ?? '',
    target: request.url ?? '',
    version: request.httpVersion,
    status,
    bytes,
    firstByteMs: firstMs,
    totalMs,
    cache: notes.cache,
    retries: notes.retries ?? 0,
    id: trace,
    referer: fieldValue(request.rawHeaders, 'referer'),
    userAgent: fieldValue(request.rawHeaders, 'user-agent'),
    error: failure?.code,
  };
}
