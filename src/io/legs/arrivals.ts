/**
 * What a leg has read and nobody took yet: chunks in their order, and one reader at most that waits for the next.
 *
 * Owns the blocks that are read into. A block belongs to whoever read a chunk of
 * it until `release()`; then it is filled again. At most `blocksAhead` chunks wait:
 * past that the socket is not read, and so the peer stops sending.
 * Invariant: whoever waits is woken by a chunk, the end, a failure, an interruption or its signal, whichever comes first.
 */

import type { OnReadOpts } from 'node:net';
import { asHoplineError, type HoplineError } from '../../core/errors.ts';
import type { Signal } from '../../core/signal.ts';
import type { SocketReader } from '../kernel/socket-reader.ts';
import { Blocks, type Chunk, restOf, splitChunk } from './blocks.ts';

const blocksAhead = 2;

/** Where chunks come from. */
interface Source {
  pause(): void;
  resume(): void;
}

/** Who is told what is taken past the source. */
interface Taking {
  readonly onTaken: () => void;
  /** The connection broke, of which the source will hear nothing more. */
  readonly onBroken: (failure: HoplineError) => void;
}

/** Memory to read into; a function says which it is at the moment when there are bytes for it. */
export type ReadMemory = Buffer | (() => Buffer);

/** Between two pieces come the end of the one, the head of the other, and little else that would have to be copied. */
const headBytes = 4096;
/**
 * So often in a row bytes are taken that are there at once. A peer that sends faster than they are used would otherwise let
 * nothing else in this process have a turn: no deadline, no signal, no other leg.
 */
const maxTakes = 4;

export class Arrivals {
  /** What a socket needs to read into the blocks. */
  readonly onread: OnReadOpts;
  readonly #chunks: Chunk[] = [];
  #source: Source | undefined;
  #reader: SocketReader | undefined;
  #taking: Taking | undefined;
  /** What heads were read into that are used up. */
  #heads: Buffer | undefined;
  /** Since the last wait. */
  #takes = 0;
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

  /** From now on bytes are taken by `reader`, past the source, which tells of the end alone. */
  takeBy(reader: SocketReader, taking: Taking): void {
    this.pause();
    this.#reader = reader;
    this.#taking = taking;
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
  async next(maxBytes: number, signal?: Signal): Promise<Chunk | null> {
    for (;;) {
      const chunk = this.nextNow();
      if (chunk) return this.#cut(chunk, maxBytes);
      if (this.#failure) throw this.#failure;
      if (this.#isEnded) return null;
      await this.#change(1, signal);
    }
  }

  /** The same into memory: how many bytes, 0 at the end. */
  async nextInto(place: ReadMemory, signal?: Signal): Promise<number> {
    for (;;) {
      const memory = memoryOf(place);
      const chunk = this.#shift();
      if (chunk) return this.#copy(chunk, memory);
      if (this.#failure) throw this.#failure;
      if (this.#isEnded) return 0;
      const taken = this.#takeDirectly(memory);
      if (taken !== undefined) return taken;
      await this.#change(memory.length, signal);
    }
  }

  /** The next chunk if it is here. */
  nextNow(): Chunk | undefined {
    return this.#shift() ?? this.#takeHeads();
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

  #shift(): Chunk | undefined {
    const chunk = this.#chunks.shift();
    if (chunk && !this.#reader && this.#chunks.length < blocksAhead) this.#goOn();
    return chunk;
  }

  #copy(chunk: Chunk, memory: Buffer): number {
    const { bytes } = chunk;
    // What was put there already need not be copied.
    const isThere = bytes.buffer === memory.buffer && bytes.byteOffset === memory.byteOffset;
    const copied = isThere ? Math.min(bytes.length, memory.length) : bytes.copy(memory);
    this.putBack(restOf(chunk, copied));
    return copied;
  }

  #takeHeads(): Chunk | undefined {
    if (!this.#reader || this.#failure || this.#isEnded) return undefined;
    const block = this.#heads ?? Buffer.allocUnsafeSlow(headBytes);
    this.#heads = undefined;
    const taken = this.#takeDirectly(block);
    const release = () => {
      this.#heads = block;
    };
    if (taken !== undefined) return { bytes: block.subarray(0, taken), release };
    release();
    return undefined;
  }

  /** Undefined where there is nothing, at the end and behind a failure, and where others are to have their turn first. */
  #takeDirectly(memory: Buffer): number | undefined {
    if (this.#takes >= maxTakes) return undefined;
    try {
      const taken = this.#reader?.take(memory);
      this.#takes += 1;
      if (taken) this.#taking?.onTaken();
      if (taken !== 0) return taken;
      // The source has to see the end too, or it would never close.
      this.#reader = undefined;
    } catch (error) {
      this.fail(asHoplineError(error));
      this.#taking?.onBroken(asHoplineError(error));
    }
    return undefined;
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

  /** Settles when there is something new: more bytes, where `wanted` are waited for, the end or a failure. */
  #change(wanted: number, signal?: Signal): Promise<void> {
    if (this.#failure) return Promise.resolve();
    const isGreedy = this.#takes >= maxTakes;
    this.#takes = 0;
    if (isGreedy && !signal?.aborted) return new Promise((resolve) => void setImmediate(resolve));
    const reader = this.#reader;
    if (!reader) this.#goOn();
    return new Promise((resolve, reject) => {
      let isSettled = false;
      const settle = (then: () => void) => {
        // A wake may be on its way when something else comes first, and the next wait is not its.
        if (isSettled) return;
        isSettled = true;
        reader?.rest();
        this.#wake = undefined;
        this.#interrupt = undefined;
        signal?.removeEventListener('abort', abort);
        then();
      };
      const abort = () => settle(() => reject(signal?.reason));
      this.#wake = () => settle(resolve);
      this.#interrupt = (reason) => settle(() => reject(reason));
      reader?.await(wanted, this.#wake);
      if (signal?.aborted) abort();
      else signal?.addEventListener('abort', abort);
    });
  }
}

export function memoryOf(place: ReadMemory): Buffer {
  return typeof place === 'function' ? place() : place;
}
