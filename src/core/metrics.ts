/**
 * What a node counts: plain numbers on the hot path, read out as one snapshot.
 *
 * Knows nothing about who publishes the numbers.
 */

import type { ErrorCode } from './errors.ts';

export interface NodeStats {
  /** Connections accepted since the start, and open now. */
  readonly accepted: number;
  readonly open: number;
  /** Circuits that went through here as a relay, and that ended here as an origin. */
  readonly relayed: number;
  readonly served: number;
  /** Bytes passed on as a relay, both directions, and bytes of content sent as an origin. */
  readonly bytesRelayed: number;
  readonly bytesServed: number;
  /** Files that were uploaded to the end, and bytes of pieces that were taken in. */
  readonly uploaded: number;
  readonly bytesUploaded: number;
  /** Messages that were answered here as a server, or passed on to one and back as a front. */
  readonly messages: number;
  /** Connections of HTTP clients, left to a gateway. */
  readonly http: number;
  /** Refusals and failed circuits by code. */
  readonly failures: Readonly<Partial<Record<ErrorCode, number>>>;
}

export class Metrics {
  accepted = 0;
  open = 0;
  relayed = 0;
  served = 0;
  bytesRelayed = 0;
  bytesServed = 0;
  uploaded = 0;
  bytesUploaded = 0;
  messages = 0;
  http = 0;
  readonly #failures = new Map<ErrorCode, number>();

  countFailure(code: ErrorCode): void {
    this.#failures.set(code, (this.#failures.get(code) ?? 0) + 1);
  }

  snapshot(): NodeStats {
    const { accepted, open, relayed, served, bytesRelayed, bytesServed, uploaded, bytesUploaded, messages, http } =
      this;
    return {
      accepted,
      open,
      relayed,
      served,
      bytesRelayed,
      bytesServed,
      uploaded,
      bytesUploaded,
      messages,
      http,
      failures: Object.fromEntries(this.#failures),
    };
  }
}
