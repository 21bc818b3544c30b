/**
 * The memory that a leg reads into: a block that all legs share, then blocks of its own that are recycled when released, and grow
 * while reads fill them.
 *
 * Invariant: a block is read into again only after whoever held its last chunk has released it; of the shared one nobody holds any.
 */

import type { OnReadOpts } from 'node:net';

/** More than most heads. */
const firstBlockBytes = 4 * 1024;
/**
 * What all legs read into until a read fills it: what came is copied out at once. A block for each of them would be memory outside
 * of V8's heap, which makes it collect often. On Windows the system fills a block later than it is asked to.
 */
const firstBlock = process.platform === 'win32' ? undefined : Buffer.allocUnsafeSlow(firstBlockBytes);
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
        const bytes = block.subarray(0, length);
        if (block === firstBlock) return take({ bytes: Buffer.from(bytes), release: keepNone });
        return take({ bytes, release: () => this.#recycle(block) });
      },
    };
  }

  #next(): Buffer {
    if (firstBlock && this.#bytes === firstBlockBytes) return firstBlock;
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytes);
  }

  #recycle(block: Buffer): void {
    if (block.length === this.#bytes && this.#free.length < maxFreeBlocks) this.#free.push(block);
  }
}

function keepNone(): void {}

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
