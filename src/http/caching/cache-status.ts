/**
 * Cache-Status (RFC 9211): what the cache did with a request, in one member of the list.
 */

import type { RawFields } from '../exchange.ts';

export interface CacheStatus {
  readonly isHit?: boolean;
  /** Why the request went on. */
  readonly fwd?: 'bypass' | 'method' | 'uri-miss' | 'vary-miss' | 'miss' | 'request' | 'stale';
  /** What came back, where that is not the status of the answer. */
  readonly fwdStatus?: number | undefined;
  /** Seconds that the answer is fresh still; below 0 if it is stale. */
  readonly ttlS?: number | undefined;
  readonly isStored?: boolean | undefined;
  readonly isCollapsed?: boolean | undefined;
  /** A word of ours. */
  readonly detail?: string | undefined;
}

/** Puts our member behind those of the caches before us. */
export function withCacheStatus(fields: RawFields, status: CacheStatus): RawFields {
  return [...fields, 'Cache-Status', formatCacheStatus(status)];
}

function formatCacheStatus(status: CacheStatus): string {
  let text = 'hopline';
  if (status.isHit) text += '; hit';
  if (status.fwd) text += `; fwd=${status.fwd}`;
  if (status.fwdStatus !== undefined) text += `; fwd-status=${status.fwdStatus}`;
  if (status.ttlS !== undefined) text += `; ttl=${Math.floor(status.ttlS)}`;
  if (status.isStored) text += '; stored';
  if (status.isCollapsed) text += '; collapsed';
  if (status.detail !== undefined) text += `; detail=${status.detail}`;
  return text;
}
