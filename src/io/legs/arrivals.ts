/**
 * What a leg has read and nobody took yet: chunks in their order, and one reader at most that waits for the next.
 *
 * Owns the blocks that are read into. A block belongs to whoever read a chunk of
 * it until `release()`; then it is filled again. At most `blocksAhead` chunks wait:
 * past that the socket is not read, and so the peer stops sending.
 * Invariant: whoever waits is woken by a chunk, the end, a failure, an interruption or its signal, whichever comes first.
 */

import type { OnReadOpts } from 'node:net';
import type { HoplineError } from '../../core/errors.ts';
import { Blocks, type Chunk, splitChunk } from './blocks.ts';

const blocksAhead = 2;

/** Where chunks come from. */
interface Source {
  pause(): void;
  resume(): void;
}

export class Arrivals {
  /** What a socket needs to read into the blocks. */
  readonly onread: OnReadOpts;
  readonly #chunks: Chunk[] = [];
  #source: Source | undefined;
  #isEnded = false;
  #failure: HoplineError | undefined;
  #isPaused = false;
  #wake: (() => void) | undefined;
  #interrupt: ((reason: unknown) => void) | undefined;

  constructor(maxBlockBytes: number) {
    this.onread = new Blocks(maxBlockBytes).onread((chunk) => this.take(chunk));
  }

  /** To be called before the first chunk, with the socket that `onread` was given to, or whatever else calls `take`. */
  comeFrom(source: Source): void {
    this.#source = source;
  }

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  get failure(): HoplineError | undefined {
    return this.#failure;
  }

  /** Nothing more will come. */
  end(): void {
    this.#isEnded = true;
    this.#wake?.();
  }

  /** Nothing more will come, since the connection broke; the first failure counts. */
  fail(failure: HoplineError): void {
    this.#failure ??= failure;
    this.#wake?.();
  }

  /** Stops reading until the next chunk is asked for. */
  pause(): void {
    this.#isPaused = true;
    this.#source?.pause();
  }

  /** The next bytes, at most `maxBytes` of them, or null at the end. Throws the failure, or the signal's reason. */
  async next(maxBytes: number, signal?: AbortSignal): Promise<Chunk | null> {
    for (;;) {
      const chunk = this.nextNow();
      if (chunk) return this.#cut(chunk, maxBytes);
      if (this.#failure) throw this.#failure;
      if (this.#isEnded) return null;
      this.#goOn();
      await this.#change(signal);
    }
  }

  /** The next chunk if it is here. */
  nextNow(): Chunk | undefined {
    const chunk = this.#chunks.shift();
    if (chunk && this.#chunks.length < blocksAhead) this.#goOn();
    return chunk;
  }

  putBack(chunk: Chunk): void {
    if (chunk.bytes.length > 0) this.#chunks.unshift(chunk);
    else chunk.release();
  }

  takeAll(): readonly Chunk[] {
    return this.#chunks.splice(0);
  }

  /** Has whoever waits now throw `reason`. False if nobody does. */
  interrupt(reason: unknown): boolean {
    if (!this.#interrupt) return false;
    this.#interrupt(reason);
    return true;
  }

  /** One more has come. Says whether to read on; otherwise the source is told when to. */
  take(chunk: Chunk): boolean {
    this.#chunks.push(chunk);
    this.#wake?.();
    this.#isPaused = this.#chunks.length >= blocksAhead;
    return !this.#isPaused;
  }

  /** The head of a chunk; the rest is next. */
  #cut(chunk: Chunk, maxBytes: number): Chunk {
    if (chunk.bytes.length <= maxBytes) return chunk;
    const [head, tail] = splitChunk(chunk, maxBytes);
    this.#chunks.unshift(tail);
    return head;
  }

  #goOn(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#source?.resume();
  }

  #change(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (then: () => void) => {
        this.#wake = undefined;
        this.#interrupt = undefined;
        signal?.removeEventListener('abort', abort);
        then();
      };
      const abort = () => settle(() => reject(signal?.reason));
      this.#wake = () => settle(resolve);
      this.#interrupt = (reason) => settle(() => reject(reason));
      if (signal?.aborted) abort();
      else signal?.addEventListener('abort', abort);
    });
  }
}
