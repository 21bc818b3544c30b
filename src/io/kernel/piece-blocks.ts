/**
 * Memory for whole pieces: what a socket is read into is what is hashed, and what the disk is written from.
 *
 * Knows nothing about pieces but that they are of one size, or smaller at the end of a file.
 * Invariant: a block is handed out again only after it was released; few that nobody has are kept.
 */

import type { Chunk } from '../legs/blocks.ts';
import { type AlignedMemory, loadAlignedMemory } from './libc.ts';

/** What the disk wants addresses to be multiples of. */
const alignment = 4096;
/** Smaller ones come many at a time and cost little. */
const minKeptBytes = 64 * 1024;
/** One that is filled, one that is written and one between. */
const maxFree = 3;

export class PieceBlocks {
  readonly #free: Buffer[] = [];
  #bytes = 0;
  #memory: AlignedMemory | null | undefined;

  /** Memory of exactly `length` bytes, which hold anything. */
  take(length: number): Chunk {
    if (length < minKeptBytes) return { bytes: Buffer.allocUnsafe(length), release: () => {} };
    if (length > this.#bytes) {
      this.#bytes = length;
      this.#free.length = 0;
    }
    const block = this.#free.pop() ?? this.#allocate();
    return { bytes: length < block.length ? block.subarray(0, length) : block, release: () => this.#recycle(block) };
  }

  #allocate(): Buffer {
    if (this.#memory === undefined) this.#memory = loadAlignedMemory() ?? null;
    return this.#memory?.allocate(this.#bytes, alignment) ?? Buffer.allocUnsafeSlow(this.#bytes);
  }

  #recycle(block: Buffer): void {
    if (block.length === this.#bytes && this.#free.length < maxFree) this.#free.push(block);
  }
}
