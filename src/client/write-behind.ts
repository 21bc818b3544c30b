/**
 * Writes chunks to a file a batch at a time, while the next batch is gathered.
 *
 * A write of its own for every chunk would cost more in waking threads than in
 * moving bytes. Owns each chunk from `add` until its bytes are with the kernel.
 * Invariant: at most one batch is being written and one gathered; the first failure ends everything after it.
 */

import type { FileHandle } from 'node:fs/promises';
import type { Chunk } from '../io/blocks.ts';

const batchBytes = 1024 * 1024;

export class WriteBehind {
  readonly #handle: FileHandle;
  #batch: Chunk[] = [];
  #batchStart = 0;
  #batchEnd = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Takes over the chunk for `position`; waits while a batch is full and the one before it is not written. Throws what a write failed with. */
  async add(chunk: Chunk, position: number): Promise<void> {
    if (position !== this.#batchEnd) {
      await this.#startWrite();
      this.#batchStart = position;
    }
    this.#batch.push(chunk);
    this.#batchEnd = position + chunk.bytes.length;
    if (this.#batchEnd - this.#batchStart >= batchBytes) await this.#startWrite();
  }

  /** Settles once everything is written. Throws what a write failed with. */
  async flush(): Promise<void> {
    await this.#startWrite();
    await this.#writing;
  }

  /** Waits for the batch before, then lets this one be written in the background. */
  async #startWrite(): Promise<void> {
    const chunks = this.#batch;
    const position = this.#batchStart;
    this.#batch = [];
    this.#batchStart = this.#batchEnd;
    try {
      await this.#writing;
    } catch (error) {
      for (const chunk of chunks) chunk.release();
      throw error;
    }
    this.#writing = this.#writeFully(chunks, position);
    this.#writing.catch(() => {});
  }

  async #writeFully(chunks: readonly Chunk[], position: number): Promise<void> {
    try {
      let left = chunks.map(({ bytes }) => bytes);
      for (let at = position; left.length > 0; ) {
        const { bytesWritten } = await this.#handle.writev(left, at);
        at += bytesWritten;
        left = dropBytes(left, bytesWritten);
      }
    } finally {
      for (const chunk of chunks) chunk.release();
    }
  }
}

/** What is left of `buffers` after the first `count` bytes. */
function dropBytes(buffers: readonly Buffer[], count: number): Buffer[] {
  let drop = count;
  const left: Buffer[] = [];
  for (const buffer of buffers) {
    const taken = Math.min(drop, buffer.length);
    drop -= taken;
    if (taken < buffer.length) left.push(buffer.subarray(taken));
  }
  return left;
}
