/**
 * A download into a stream: pieces leave in their order, each only once it has been verified.
 *
 * Invariant: holds no more than the pieces that were asked for ahead.
 */

import type { Writable } from 'node:stream';
import { untilAborted } from '../core/clock.ts';
import { HoplineError, systemCode } from '../core/errors.ts';
import type { Chunk } from '../io/blocks.ts';
import type { Reservation, Target } from './target.ts';

interface HeldPiece {
  readonly parts: Buffer[];
  verified: boolean;
}

export class StreamTarget implements Target {
  readonly path = null;
  readonly replaces = false;
  readonly #stream: Writable;
  readonly #signal: AbortSignal;
  readonly #held = new Map<number, HeldPiece>();
  #position = 0;
  #failure: HoplineError | undefined;

  /** A reader of the stream may stop for ever; only `signal` ends the wait for it. */
  constructor(stream: Writable, signal: AbortSignal) {
    this.#stream = stream;
    this.#signal = signal;
    stream.on('error', (cause) => {
      const reason = systemCode(cause) ?? 'unknown';
      this.#failure ??= new HoplineError('DISK_FAILED', `the output was closed (${reason})`, { cause, reason });
    });
  }

  async reserve(): Promise<Reservation> {
    return 'none';
  }

  async write(chunk: Chunk, offset: number): Promise<void> {
    if (this.#failure) throw this.#failure;
    const piece = this.#held.get(offset) ?? { parts: [], verified: false };
    this.#held.set(offset, piece);
    piece.parts.push(Buffer.from(chunk.bytes));
    chunk.release();
  }

  async accept(offset: number): Promise<void> {
    const piece = this.#held.get(offset);
    if (piece) piece.verified = true;
    for (let due = this.#held.get(this.#position); due?.verified; due = this.#held.get(this.#position)) {
      this.#held.delete(this.#position);
      for (const part of due.parts) await this.#emit(part);
    }
  }

  reject(offset: number): void {
    this.#held.delete(offset);
  }

  async commit(): Promise<void> {
    if (this.#failure) throw this.#failure;
  }

  async discard(): Promise<void> {
    this.#held.clear();
  }

  #emit(bytes: Buffer): Promise<void> {
    this.#position += bytes.length;
    const written = new Promise<void>((resolve, reject) => {
      this.#stream.write(bytes, (cause) => {
        if (cause) reject(this.#failure ?? new HoplineError('DISK_FAILED', 'the output was closed', { cause }));
        else resolve();
      });
    });
    return untilAborted(written, this.#signal);
  }
}
