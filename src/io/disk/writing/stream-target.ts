/**
 * A download into a stream: pieces leave in their order.
 *
 * Invariant: holds no more pieces than `maxPiecesEarly`; bytes that the stream may still need are never released.
 */

import { WriteStream } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { untilAborted } from '../../../core/clock.ts';
import { HoplineError } from '../../../core/errors.ts';
import type { Signal } from '../../../core/signal.ts';
import { writeError } from '../../../core/system-errors.ts';
import type { WholeDigest } from '../../digests/whole-digest.ts';
import type { Chunk } from '../../legs/blocks.ts';
import type { Begun, Piece, Target, TargetContent } from './target.ts';

export class StreamTarget implements Target {
  readonly path = null;
  readonly replaces = false;
  readonly mayResume = false;
  readonly maxPiecesEarly: number;
  readonly #stream: Writable;
  readonly #signal: Signal;
  readonly #held = new Map<number, readonly Chunk[]>();
  readonly #keepsBytes: boolean;
  readonly #whole: WholeDigest | undefined;
  #emitting: Promise<void> | undefined;
  #position = 0;
  #next = 0;
  #failure: HoplineError | undefined;

  /** A reader of the stream may stop for ever; only `signal` ends the wait for it. */
  constructor(stream: Writable, signal: Signal, maxPiecesEarly: number, whole?: WholeDigest) {
    this.#stream = stream;
    this.#signal = signal;
    this.#whole = whole;
    this.#keepsBytes = mayKeepBytes(stream);
    this.maxPiecesEarly = maxPiecesEarly;
    stream.on('error', (cause) => {
      this.#failure ??= writeError('the output', cause);
    });
  }

  /** What has left cannot be taken back. */
  async begin(content: TargetContent): Promise<Begun> {
    if (this.#next > 0 || this.#emitting) {
      throw new HoplineError('FILE_CHANGED', 'the file changed after part of it had been written out');
    }
    this.#held.clear();
    this.#whole?.begin(content);
    return { reservation: 'none', left: new Map() };
  }

  /** Settles at once while the piece whose turn it is has not come: whoever brings it may be the one who waits here. */
  async write(...pieces: readonly Piece[]): Promise<void> {
    if (this.#failure) throw this.#failure;
    for (const { index, chunks } of pieces) this.#held.set(index, chunks);
    if (this.#held.has(this.#next)) {
      this.#emitting ??= this.#emitDue().finally(() => {
        this.#emitting = undefined;
      });
    }
    await this.#emitting;
  }

  async commit(): Promise<void> {
    await this.#emitting;
    if (this.#failure) throw this.#failure;
    await this.#whole?.finish(this.#position);
  }

  async keep(): Promise<number> {
    await this.discard();
    return 0;
  }

  async discard(): Promise<void> {
    this.#held.clear();
  }

  async #emitDue(): Promise<void> {
    for (let due = this.#held.get(this.#next); due; due = this.#held.get(this.#next)) {
      for (const chunk of due) {
        this.#whole?.take(this.#position, [chunk]);
        this.#position += chunk.bytes.length;
        // What is given up on the way may still be read from.
        await this.#emit(chunk.bytes);
        // A copy for a stream that keeps it would cost more than another block for the next piece.
        if (!this.#keepsBytes) chunk.release();
      }
      this.#held.delete(this.#next);
      this.#next += 1;
    }
  }

  #emit(bytes: Buffer): Promise<void> {
    const written = new Promise<void>((resolve, reject) => {
      const fail = (cause: unknown) => reject(this.#failure ?? writeError('the output', cause));
      // A stream that is destroyed need not say what became of what it was given.
      const onClose = () => fail(new Error('it was closed before the end'));
      this.#stream.once('close', onClose);
      this.#stream.write(bytes, (cause) => {
        this.#stream.off('close', onClose);
        if (cause) fail(cause);
        else resolve();
      });
    });
    return untilAborted(written, this.#signal);
  }
}

/** Whether a stream may still need its bytes once it says that they are written: a stream of the system has given them away. */
function mayKeepBytes(stream: Writable): boolean {
  return !(stream instanceof Socket || stream instanceof WriteStream || stream === process.stdout);
}
