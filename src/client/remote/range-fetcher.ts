/**
 * The ranges that are read of a remote file over one circuit: asked for piece by piece, given once they are verified.
 *
 * Knows nothing about other circuits, or about who reads.
 * Invariant: a stream gets verified bytes alone, in their order.
 */

import { HoplineError } from '../../core/errors.ts';
import { availableDigests, type DigestAlgorithm } from '../../io/digests/digest.ts';
import type { AnswerOf } from '../../wire/native/messages.ts';
import type { Circuit, ClientContext } from '../circuit/circuit.ts';
import type { Circuits } from '../circuit/circuits.ts';
import { PieceWindow } from '../pieces/piece-window.ts';
import { checkStatus, mismatchError, type ReceivedPiece, receivePiece } from '../pieces/receive-piece.ts';
import type { ContentStream } from './content-stream.ts';

/** Bytes of a file: at least one. */
export interface RemoteRange {
  readonly offset: number;
  readonly length: number;
}

export interface RangeOptions {
  readonly name: string;
  readonly client: ClientContext;
  /** Told of every piece that was verified. */
  readonly circuits: Circuits;
}

export class RangeFetcher {
  readonly #circuit: Circuit;
  readonly #status: AnswerOf<'status'>;
  readonly #algorithm: DigestAlgorithm;
  readonly #options: RangeOptions;
  /** READs, as long as their answers will be. */
  readonly #window: PieceWindow<RemoteRange>;

  /** `status` was the answer to a STAT, along with which a READ of `ahead` was sent. Throws `PEER_PROTOCOL`. */
  constructor(circuit: Circuit, status: AnswerOf<'status'>, options: RangeOptions, ahead?: RemoteRange) {
    const { limits } = options.client;
    this.#circuit = circuit;
    this.#status = status;
    this.#algorithm = checkStatus(status, availableDigests(), limits);
    this.#options = options;
    this.#window = new PieceWindow(limits.maxReadsAhead, limits);
    if (!ahead) return;
    const { offset, length } = ahead;
    this.#window.add({ offset, length: Math.max(0, Math.min(length, status.size - offset)) });
  }

  /** Brings what is missing of one read, in its order. Throws what the circuit fails with, and `HASH_MISMATCH`. */
  async fill(stream: ContentStream): Promise<void> {
    const { circuits, client } = this.#options;
    const { size, pieceBytes } = this.#status;
    if (this.#window.due[0]?.offset !== stream.position) await this.#drop();
    while (stream.position < stream.end) {
      this.#askAhead(stream);
      const [range] = this.#window.due;
      if (!range) throw new HoplineError('INTERNAL', 'nothing was asked for');
      const piece = await this.#receive(range);
      this.#window.shift();
      if (piece) {
        this.#window.arrived(range.offset);
        circuits.progressed(this.#circuit);
        await stream.give(piece.chunks);
        continue;
      }
      if (this.#window.damaged(range.offset) === undefined) {
        const index = Math.floor(range.offset / pieceBytes);
        throw mismatchError(index, Math.ceil(size / pieceBytes), this.#circuit, client.limits);
      }
      // What comes behind it would be out of order.
      await this.#drop();
    }
  }

  /** Takes the answers that are due, and drops them. */
  async #drop(): Promise<void> {
    for (const range of this.#window.giveBack()) {
      const piece = await this.#receive(range);
      for (const chunk of piece?.chunks ?? []) chunk.release();
    }
  }

  #receive(range: RemoteRange): Promise<ReceivedPiece | undefined> {
    const expected = { file: this.#options.name, ...range, algorithm: this.#algorithm };
    return receivePiece(this.#circuit, expected, () => {});
  }

  #askAhead({ position, end }: ContentStream): void {
    const last = this.#window.due.at(-1);
    let next = last ? last.offset + last.length : position;
    const { pieceBytes, version } = this.#status;
    const ahead = this.#window.askAhead(() => {
      if (next >= end) return undefined;
      const range = cutAtPiece(next, end, pieceBytes);
      next += range.length;
      return range;
    });
    this.#circuit.send(ahead.map((range) => ({ type: 'read', ...range, version }) as const));
  }
}

/** The first part of a range: whole pieces have digests that the origin may know already. */
export function cutAtPiece(offset: number, end: number, pieceBytes: number): RemoteRange {
  const pieceEnd = (Math.floor(offset / pieceBytes) + 1) * pieceBytes;
  return { offset, length: Math.min(end, pieceEnd) - offset };
}
