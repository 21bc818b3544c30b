/**
 * What a node counts: plain numbers on the hot path, read out as one snapshot.
 *
 * Knows nothing about who publishes the numbers.
 */

import type { ErrorCode } from './errors.ts';
import { Histogram, type HistogramCounts, momentBounds, transferBounds } from './histogram.ts';

export interface NodeStats {
  /** Connections accepted since the start, and open now. */
  readonly accepted: number;
  readonly open: number;
  /** Connections by what their peer spoke on its first bytes. */
  readonly dialects: Readonly<Record<string, number>>;
  /** Circuits that went through here as a relay, and that ended here as an origin. */
  readonly relayed: number;
  readonly served: number;
  /** Of those that ended here, the encrypted ones. */
  readonly servedSecurely: number;
  /** Bytes passed on as a relay, both directions, and bytes of content sent as an origin. */
  readonly bytesRelayed: number;
  readonly bytesServed: number;
  /** Files that were uploaded to the end, and bytes of pieces that were taken in. */
  readonly uploaded: number;
  readonly bytesUploaded: number;
  /** The same bytes by role, by how they were moved, and by direction: forward is away from the client. */
  readonly moved: MovedBytes;
  /** Files that were opened for a client, and pieces that were sent: after hashing, or by a digest that was known. */
  readonly files: number;
  readonly piecesHashed: number;
  readonly piecesCached: number;
  /** Messages that were answered here as a server, or passed on to one and back as a front. */
  readonly messages: number;
  /** Connections of HTTP clients, left to a gateway. */
  readonly http: number;
  /** Handshakes of encrypted circuits by how they went. */
  readonly handshakes: Readonly<Record<HandshakeResult, number>>;
  /** Refusals and failed circuits by code. */
  readonly failures: Readonly<Partial<Record<ErrorCode, number>>>;
  /** From OPEN to the connected next leg. */
  readonly openSeconds: HistogramCounts;
  /** How long circuits lasted. */
  readonly relaySeconds: HistogramCounts;
  readonly originSeconds: HistogramCounts;
  /** From a READ whose turn it is to its first byte on the way. */
  readonly firstByteSeconds: HistogramCounts;
}

/** `replayed`: its first message was not taken at once, as one that may have come before. */
export type HandshakeResult = 'ok' | 'denied' | 'failed' | 'replayed';

interface Directions {
  forward: number;
  back: number;
}

/** `kernel` bytes never came into this process. */
export type MovedBytes = Record<'relay' | 'origin', Record<'kernel' | 'process', Directions>>;

export class Metrics {
  accepted = 0;
  open = 0;
  relayed = 0;
  served = 0;
  servedSecurely = 0;
  uploaded = 0;
  files = 0;
  piecesHashed = 0;
  piecesCached = 0;
  messages = 0;
  http = 0;
  readonly moved: MovedBytes = { relay: nothingMoved(), origin: nothingMoved() };
  readonly handshakes: Record<HandshakeResult, number> = { ok: 0, denied: 0, failed: 0, replayed: 0 };
  readonly openSeconds = new Histogram(momentBounds);
  readonly relaySeconds = new Histogram(transferBounds);
  readonly originSeconds = new Histogram(transferBounds);
  readonly firstByteSeconds = new Histogram(momentBounds);
  readonly #dialects: Record<string, number> = {};
  readonly #failures = new Map<ErrorCode, number>();

  /** `dialect` is one of few. */
  countDialect(dialect: string): void {
    this.#dialects[dialect] = (this.#dialects[dialect] ?? 0) + 1;
  }

  countFailure(code: ErrorCode): void {
    this.#failures.set(code, (this.#failures.get(code) ?? 0) + 1);
  }

  snapshot(): NodeStats {
    const { accepted, open, relayed, served, servedSecurely, uploaded, files, messages, http } = this;
    const { piecesHashed, piecesCached, handshakes, moved } = this;
    const { relay, origin } = moved;
    return {
      accepted,
      open,
      dialects: { ...this.#dialects },
      relayed,
      served,
      servedSecurely,
      bytesRelayed: relay.kernel.forward + relay.kernel.back + relay.process.forward + relay.process.back,
      bytesServed: origin.kernel.back + origin.process.back,
      uploaded,
      bytesUploaded: origin.process.forward,
      moved: structuredClone(moved),
      files,
      piecesHashed,
      piecesCached,
      messages,
      http,
      handshakes: { ...handshakes },
      failures: Object.fromEntries(this.#failures),
      openSeconds: this.openSeconds.snapshot(),
      relaySeconds: this.relaySeconds.snapshot(),
      originSeconds: this.originSeconds.snapshot(),
      firstByteSeconds: this.firstByteSeconds.snapshot(),
    };
  }
}

function nothingMoved(): MovedBytes['relay'] {
  return { kernel: { forward: 0, back: 0 }, process: { forward: 0, back: 0 } };
}
