/**
 * What a gateway counts of its requests: plain numbers, read out as one snapshot.
 *
 * Invariant: as many counts as there are sites, whatever clients ask for.
 */

import type { ErrorCode } from '../../core/errors.ts';
import { Histogram, type HistogramCounts, momentBounds, transferBounds } from '../../core/histogram.ts';
import type { Ended } from './http-server.ts';

export interface HttpStats {
  /** Requests that are over, by the site that they were for, empty for none, and the class of their answer, such as `2xx`. */
  readonly requests: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Bytes of content that were sent to clients. */
  readonly bytes: number;
  /** Requests that were sent again to another server. */
  readonly retries: number;
  /** Why answers failed. */
  readonly failures: Readonly<Partial<Record<ErrorCode, number>>>;
  /** Until an answer began, and until it was over. */
  readonly firstByteSeconds: HistogramCounts;
  readonly totalSeconds: HistogramCounts;
}

export class HttpCounts {
  readonly #requests: Record<string, Record<string, number>> = Object.create(null);
  readonly #failures = new Map<ErrorCode, number>();
  readonly #firstByteSeconds = new Histogram(momentBounds);
  readonly #totalSeconds = new Histogram(transferBounds);
  #bytes = 0;
  #retries = 0;

  count({ site = '', status, bytes, notes, failure, firstMs, totalMs }: Omit<Ended, 'request'>): void {
    const ofClass = `${Math.floor(status / 100)}xx`;
    const ofSite = this.#requests[site] ?? {};
    this.#requests[site] = ofSite;
    ofSite[ofClass] = (ofSite[ofClass] ?? 0) + 1;
    this.#bytes += bytes;
    this.#retries += notes.retries ?? 0;
    if (failure) this.#failures.set(failure.code, (this.#failures.get(failure.code) ?? 0) + 1);
    this.#firstByteSeconds.observe(firstMs / 1000);
    this.#totalSeconds.observe(totalMs / 1000);
  }

  snapshot(): HttpStats {
    return {
      requests: structuredClone({ ...this.#requests }),
      bytes: this.#bytes,
      retries: this.#retries,
      failures: Object.fromEntries(this.#failures),
      firstByteSeconds: this.#firstByteSeconds.snapshot(),
      totalSeconds: this.#totalSeconds.snapshot(),
    };
  }
}
