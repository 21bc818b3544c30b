/**
 * The memory that a leg reads into: blocks that are recycled when released, and grow while reads fill them.
 *
 * Invariant: a block is read into again only after whoever held its last chunk has released it.
 */

import type { OnReadOpts } from 'node:net';

/** More than most heads; memory outside of V8's heap makes it collect often, and a short circuit has two legs. */
const firstBlockBytes = 4 * 1024;
/** A consumer that writes to disk gives several blocks back at once; allocating them anew costs more than keeping them. */
const maxFreeBlocks = 16;

/** Bytes that were read. Whoever holds a chunk releases it once, when the bytes are no longer needed. */
export interface Chunk {
  readonly bytes: Buffer;
  readonly release: () => void;
}

/** The blocks of one leg. */
export class Blocks {
  readonly #maxBytes: number;
  readonly #free: Buffer[] = [];
  #bytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#bytes = Math.min(firstBlockBytes, maxBytes);
  }

  /** What a socket needs to read into the blocks; `take` gets each chunk and says whether to read on. */
  onread(take: (chunk: Chunk) => boolean): OnReadOpts {
    return {
      buffer: () => this.#next(),
      callback: (length, buffer) => {
        const block = buffer as Buffer;
        if (length === block.length) this.#bytes = Math.min(this.#bytes * 4, this.#maxBytes);
        return take({ bytes: block.subarray(0, length), release: () => this.#recycle(block) });
      },
    };
  }

  #next(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytes);
  }

  #recycle(block: Buffer): void {
    if (block.length === this.#bytes && this.#free.length < maxFreeBlocks) this.#free.push(block);
  }
}

/** What is left of a chunk behind its first bytes, to be released in its place: thousands of heads may come out of one chunk. */
export function restOf({ bytes, release }: Chunk, used: number): Chunk {
  return { bytes: bytes.subarray(used), release };
}

/** Two chunks of one; its block is recycled when both have been released. */
export function splitChunk(chunk: Chunk, at: number): [Chunk, Chunk] {
  let holders = 2;
  const release = () => {
    holders -= 1;
    if (holders === 0) chunk.release();
  };
  return [
    { bytes: chunk.bytes.subarray(0, at), release },
    { bytes: chunk.bytes.subarray(at), release },
  ];
}
