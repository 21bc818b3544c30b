/**
 * Memory for whole pieces: what a socket is read into is what is hashed, and what the disk is written from.
 *
 * Knows nothing about pieces but that they are of one size, or smaller at the end of a file.
 * Invariant: a block is handed out again only after it was released; no other is made while one is free, and no more are
 * kept than were said.
 */

import type { Chunk } from '../legs/blocks.ts';
import { type AlignedMemory, hugePageBytes, loadAlignedMemory } from './aligned-memory.ts';

/** What the disk wants addresses to be multiples of. */
const alignment = 4096;
/** From here on in huge pages, as many as fit: to receive, to hash and to write a block touches each of its pages (docs/performance.md). */
const minHugeBytes = 1024 * 1024;
/** Smaller ones come many at a time and cost little. */
const minKeptBytes = 64 * 1024;
/** Of one circuit: four that are written, and as many that are filled meanwhile. */
const usualFree = 8;

export class PieceBlocks {
  readonly #maxFree: number;
  readonly #free: Buffer[] = [];
  #bytes = 0;
  #memory: AlignedMemory | null | undefined;

  /** Keeps at most `maxFree` blocks that nobody has. */
  constructor(maxFree = usualFree) {
    this.#maxFree = maxFree;
  }

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
    const bytes = this.#bytes;
    if (!this.#memory) return Buffer.allocUnsafeSlow(bytes);
    if (bytes < minHugeBytes) return this.#memory.allocate(bytes, alignment);
    const step = Math.ceil(bytes / alignment) * alignment;
    const count = Math.max(1, Math.floor(hugePageBytes / step));
    const memory = this.#memory.allocate(step * count, hugePageBytes);
    for (let at = step; at < memory.length; at += step) this.#free.push(memory.subarray(at, at + bytes));
    return memory.subarray(0, bytes);
  }

  #recycle(block: Buffer): void {
    if (block.length === this.#bytes && this.#free.length < this.#maxFree) this.#free.push(block);
  }
}
