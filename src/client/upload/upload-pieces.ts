/**
 * The missing pieces of an upload over one circuit: sent ahead of the answers, and once more where one came damaged.
 *
 * Two halves at work at once, one that reads and sends and one that takes the
 * answers. A circuit that breaks is told by the half that takes answers, since
 * the last of them says why.
 * Invariant: two pieces are held at most, and a piece counts only when the origin has acknowledged it.
 * Specification: docs/protocol.md#uploads
 */

import { asHoplineError, HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { DigestAlgorithm } from '../../io/digests/digest.ts';
import type { Circuit } from '../circuit/circuit.ts';
import type { RetryEvent } from '../transfer-events.ts';
import type { SourceFile } from './source-file.ts';

export interface SendTask {
  /** The name at the origin, for messages. */
  readonly file: string;
  readonly source: SourceFile;
  readonly pieceBytes: number;
  readonly algorithm: DigestAlgorithm;
  readonly limits: Limits;
  /** The origin has the piece. Must not throw, as all that is told. */
  readonly onStored: (index: number, digest: string) => void;
  readonly onEvent: (event: RetryEvent) => void;
}

export class PieceSender {
  readonly #circuit: Circuit;
  readonly #task: SendTask;
  readonly #missing: Iterator<number>;
  readonly #digests = new Map<number, string>();
  readonly #attempts = new Map<number, number>();
  /** Sent and not answered, in their order. */
  readonly #asked: number[] = [];
  /** To be sent again. */
  readonly #wrong: number[] = [];
  #left: number;
  /** Bytes that have left, damaged or not. */
  sentBytes = 0;
  #isOver = false;
  readonly #waiting = new Set<() => void>();

  /** `missing` are the pieces to send, `count` how many they are. */
  constructor(circuit: Circuit, task: SendTask, missing: Iterable<number>, count: number) {
    this.#circuit = circuit;
    this.#task = task;
    this.#missing = missing[Symbol.iterator]();
    this.#left = count;
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
    const buffers = [this.#newBuffer(), this.#newBuffer()] as const;
    const writes = [Promise.resolve(), Promise.resolve()];
    for (let turn = 0; ; turn = 1 - turn) {
      const index = await this.#next();
      if (index === undefined) break;
      await writes[turn];
      const bytes = (buffers[turn] as Buffer).subarray(0, this.#lengthOf(index));
      await this.#task.source.read(bytes, index * this.#task.pieceBytes);
      const hasher = this.#task.algorithm.start();
      hasher.update(bytes);
      const digest = hasher.digest();
      if (this.#isOver) break;
      this.#digests.set(index, digest);
      this.#asked.push(index);
      this.#tell();
      this.sentBytes += bytes.length;
      writes[turn] = this.#circuit.sendPiece({ type: 'write', index, digest }, bytes).catch(() => {});
    }
    await Promise.all(writes);
  }

  /** The piece to send next, once it may be sent; undefined when there will be none. */
  async #next(): Promise<number | undefined> {
    while (!this.#isOver && this.#left > 0) {
      if (this.#asked.length < this.#task.limits.maxReadsAhead) {
        const index = this.#wrong.shift() ?? (this.#missing.next().value as number | undefined);
        if (index !== undefined) return index;
      }
      await this.#changed();
    }
    return undefined;
  }

  async #receive(): Promise<void> {
    const { file, onStored } = this.#task;
    while (this.#left > 0) {
      // Before a piece has left there is nothing to be waited for.
      while (this.#asked.length === 0 && !this.#isOver) await this.#changed();
      if (this.#isOver) return;
      await this.#circuit.awaitAnswer();
      const index = this.#asked[0] as number;
      const isStored = await this.#receiveStored(index, file);
      this.#asked.shift();
      if (isStored) {
        this.#left -= 1;
        onStored(index, this.#digests.get(index) ?? '');
        this.#digests.delete(index);
      } else this.#retry(index);
      this.#tell();
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

  #retry(index: number): void {
    const { limits, onEvent } = this.#task;
    const attempt = (this.#attempts.get(index) ?? 0) + 1;
    this.#attempts.set(index, attempt);
    if (attempt > limits.maxPieceRetries) {
      const message = `piece ${index + 1} was damaged on its way to the origin, ${attempt} times in a row`;
      throw new HoplineError('HASH_MISMATCH', message);
    }
    onEvent({ kind: 'retry', piece: index, attempt, hops: this.#circuit.hops });
    this.#wrong.push(index);
  }

  #end(): void {
    this.#isOver = true;
    this.#tell();
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #tell(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  #newBuffer(): Buffer {
    const { source, pieceBytes } = this.#task;
    return Buffer.allocUnsafeSlow(Math.min(source.size, pieceBytes));
  }

  #lengthOf(index: number): number {
    const { source, pieceBytes } = this.#task;
    return Math.min(pieceBytes, source.size - index * pieceBytes);
  }
}
