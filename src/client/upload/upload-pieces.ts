/**
 * The missing pieces of an upload over one circuit: sent ahead of the answers, and once more where one came damaged.
 *
 * Two halves at work at once, one that reads and sends and one that takes the
 * answers. A circuit that breaks is told by the half that takes answers, since
 * the last of them says why.
 * Invariant: two pieces are held at most, and a piece counts only when the origin has acknowledged it.
 * Specification: docs/protocol/requests.md#uploads
 */

import { asHoplineError, HoplineError } from '../../core/errors.ts';
import type { Vouched } from '../../io/disk/writing/target.ts';
import type { AnswerOf } from '../../wire/native/messages.ts';
import type { Circuit, ClientContext } from '../circuit/circuit.ts';
import type { Circuits } from '../circuit/circuits.ts';
import { PieceMap } from '../pieces/piece-map.ts';
import { PieceWindow } from '../pieces/piece-window.ts';
import type { UploadEvent } from '../transfer-events.ts';
import type { SourceFile } from './source/source-file.ts';
import type { SourcePieces } from './source/source-pieces.ts';

export interface SendFileOptions {
  /** The name at the origin. */
  readonly file: string;
  readonly source: SourceFile;
  /** Lets the origin replace a file, if it is willing to. */
  readonly force: boolean;
  readonly client: ClientContext;
  readonly circuits: Circuits;
  /** Must not throw. */
  readonly onEvent: (event: UploadEvent) => void;
}

/** The file as one origin has it. */
export interface SendTask extends SendFileOptions {
  readonly cut: SourcePieces;
  /** Those that the origin has have arrived. */
  readonly pieces: PieceMap;
  /** The origin has the piece. Must not throw. */
  readonly onStored: (index: number) => void;
}

export class PieceSender {
  /** Bytes that have left, damaged or not. */
  sentBytes = 0;
  readonly #circuit: Circuit;
  readonly #task: SendTask;
  /** Sent and not answered. */
  readonly #window: PieceWindow<{ readonly index: number; readonly digest: string }>;
  #isOver = false;

  constructor(circuit: Circuit, task: SendTask) {
    this.#circuit = circuit;
    this.#task = task;
    const { limits } = task.client;
    this.#window = new PieceWindow(limits.maxReadsAhead, limits);
  }

  /**
   * Sends all that is missing. Throws what the circuit fails with, and `HASH_MISMATCH` for a piece that is damaged every
   * time; what the source fails with is passed to `onFatal`.
   */
  async run(onFatal: (error: unknown) => void): Promise<void> {
    const sending = this.#send().catch((error) => {
      this.#end();
      onFatal(error);
    });
    try {
      await this.#receive();
    } finally {
      this.#end();
      await sending;
    }
  }

  /** Reads and sends until nothing is left or the circuit is over. Throws as the source does. */
  async #send(): Promise<void> {
    const { cut, pieces } = this.#task;
    const buffers = [cut.newBuffer(), cut.newBuffer()] as const;
    const writes = [Promise.resolve(), Promise.resolve()];
    for (let turn = 0; ; turn = 1 - turn) {
      const index = await this.#next();
      if (index === undefined) break;
      await writes[turn];
      const { bytes, digest } = await cut.read(index, buffers[turn] as Buffer);
      if (this.#isOver) break;
      this.#window.add({ index, digest });
      pieces.tell();
      this.sentBytes += bytes.length;
      writes[turn] = this.#circuit.sendPiece([{ type: 'write', index, digest }], bytes).catch(() => {});
    }
    await Promise.all(writes);
  }

  /** The piece to send next, once it may be sent; undefined when there will be none. */
  async #next(): Promise<number | undefined> {
    const { pieces } = this.#task;
    while (!this.#isOver && !pieces.isComplete) {
      const index = this.#window.isFull ? undefined : pieces.take();
      if (index !== undefined) return index;
      await pieces.changed();
    }
    return undefined;
  }

  async #receive(): Promise<void> {
    const { file, source, pieces, onStored, onEvent } = this.#task;
    while (!pieces.isComplete) {
      // Before a piece has left there is nothing to be waited for.
      while (this.#window.due.length === 0 && !this.#isOver) await pieces.changed();
      const [due] = this.#window.due;
      if (this.#isOver || !due) return;
      await this.#circuit.awaitAnswer();
      const { index, digest } = due;
      const isStored = await this.#receiveStored(index, file);
      this.#window.shift();
      if (isStored) {
        onStored(index);
        pieces.settle(index, { digest, version: source.version });
        continue;
      }
      const attempt = this.#window.damaged(index);
      if (attempt === undefined) throw this.#damagedError(index);
      onEvent({ kind: 'retry', piece: index, attempt, hops: this.#circuit.hops });
      pieces.giveBack(index);
    }
  }

  async #receiveStored(index: number, file: string): Promise<boolean> {
    try {
      const answer = await this.#circuit.receive('stored', file);
      if (answer.index === index) return true;
    } catch (error) {
      if (asHoplineError(error).code === 'HASH_MISMATCH') return false;
      throw error;
    }
    throw new HoplineError('PEER_PROTOCOL', `the origin answered another piece than ${index}`);
  }

  #damagedError(index: number): HoplineError {
    const often = `${this.#task.client.limits.maxPieceRetries + 1} times in a row`;
    return new HoplineError('HASH_MISMATCH', `piece ${index + 1} was damaged on its way to the origin, ${often}`);
  }

  #end(): void {
    this.#isOver = true;
    this.#task.pieces.tell();
  }
}

/** The pieces of a file, of which all that the origin does not miss have arrived. Throws `PEER_PROTOCOL` for some that the file has not. */
export function piecesAt({ missing }: AnswerOf<'ready'>, cut: SourcePieces, { version }: SourceFile): PiecesThere {
  const there = new Map<number, Vouched>();
  let leftBytes = 0;
  let end = 0;
  for (const [first, count] of [...missing, [cut.count, 0] as const]) {
    if (first < end || count > cut.count - first) {
      throw new HoplineError('PEER_PROTOCOL', 'the origin misses pieces that the file does not have');
    }
    for (; end < first; end += 1) {
      there.set(end, { digest: cut.digestOf(end), version });
      leftBytes += cut.rangeOf(end).length;
    }
    end = first + count;
  }
  return { pieces: new PieceMap(cut.count, there), leftBytes };
}

interface PiecesThere {
  readonly pieces: PieceMap;
  /** Of those that the origin has. */
  readonly leftBytes: number;
}
