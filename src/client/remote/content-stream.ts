/**
 * A range of a remote file as a stream: whoever fetches gives verified bytes, and waits while nobody wants more.
 *
 * Invariant: holds what was given last and is not read yet, no more.
 */

import { Readable } from 'node:stream';
import type { Chunk } from '../../io/legs/blocks.ts';

export class ContentStream extends Readable {
  /** Where in the file the next byte that is given lies. */
  position: number;
  /** Where the range ends. */
  readonly end: number;
  readonly #onLeft: () => void;
  #goOn = () => {};

  /** `onLeft` is called when the stream is destroyed before its end. */
  constructor(offset: number, length: number, onLeft: () => void) {
    super();
    this.position = offset;
    this.end = offset + length;
    this.#onLeft = onLeft;
  }

  /** Passes on what the range needs of bytes at `position`, releases them, and settles when more is wanted. */
  async give(chunks: readonly Chunk[]): Promise<void> {
    for (const chunk of chunks) {
      // Nobody says when the reader of a stream is done with its bytes, so that it gets a copy.
      const part = Buffer.from(chunk.bytes.subarray(0, this.end - this.position));
      chunk.release();
      this.position += part.length;
      const isWanted = part.length === 0 || this.push(part);
      if (this.position === this.end) this.push(null);
      else if (!isWanted) await this.#wanted();
    }
  }

  async #wanted(): Promise<void> {
    if (this.destroyed) return;
    await new Promise<void>((resolve) => {
      this.#goOn = resolve;
    });
  }

  override _read(): void {
    this.#goOn();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#goOn();
    if (!this.readableEnded) this.#onLeft();
    done(error);
  }
}
