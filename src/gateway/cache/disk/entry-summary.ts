/** What people are told of a stored answer. */

import { ageOf } from '../flow/ask-origin.ts';
import type { ReadRecord } from './entry-file.ts';

export interface ListedEntry {
  readonly url: string;
  readonly status: number;
  /** Of its file. */
  readonly bytes: number;
  /** Seconds. */
  readonly ageS: number;
  /** Seconds that it is fresh still; 0 and less for a stale one. */
  readonly ttlS: number;
}

export function describeEntry({ record, bytes }: ReadRecord, nowMs: number): ListedEntry {
  const { key, status, terms, arrivedMs } = record.head;
  const ageS = ageOf(terms, arrivedMs, nowMs);
  return { url: key, status, bytes, ageS, ttlS: terms.noCache ? 0 : terms.lifetimeS - ageS };
}
