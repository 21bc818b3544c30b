/**
 * Verified pieces on their way to the target: several that follow one another are written at once, where they come quickly.
 *
 * A write costs a hand-over between threads and a wait for the disk, however long it is (docs/performance.md).
 * Invariant: pieces are written in the order in which they came, and wait at most `gatherMs` for others; at most as many are
 * being written as the target takes at once, and at most as many wait. While all circuits together hold too much, this one
 * holds no more than a piece.
 */

import type { Clock } from '../../core/clock.ts';
import type { Piece, Target } from '../../io/disk/writing/target.ts';
import type { UnwrittenBytes } from '../pieces/unwritten-bytes.ts';

/** Long enough for four pieces of a fast circuit; what waits is lost if the process is killed. */
const gatherMs = 50;

export interface GatheredWritesOptions {
  readonly target: Pick<Target, 'write' | 'piecesAtOnce'>;
  readonly clock: Clock;
  /** Of all circuits of the transfer. */
  readonly unwritten: UnwrittenBytes;
  /** Told what a write failed with. */
  readonly onFailure: (failure: unknown) => void;
}

export class GatheredWrites {
  readonly #options: GatheredWritesOptions;
  readonly #most: number;
  readonly #waiting: Piece[] = [];
  /** How many of those that wait do so for the target alone, and for no other piece. */
  #due = 0;
  #cancelTimer: (() => void) | undefined;
  /** What the target is being given. */
  #write: Promise<void> = Promise.resolve();
  /** Until nothing is due. */
  #writing: Promise<void> | undefined;

  constructor(options: GatheredWritesOptions) {
    this.#options = options;
    this.#most = options.target.piecesAtOnce ?? 1;
  }

  /** Takes a piece, behind which the next one of the file follows soon or does not; settles when another may come. Never throws. */
  async add(piece: Piece, isFollowed: boolean): Promise<void> {
    const last = this.#waiting.at(-1);
    if (last && last.index + 1 !== piece.index) this.#writeWaiting();
    this.#waiting.push(piece);
    this.#options.unwritten.add(bytesOf(piece));
    if (!isFollowed || this.#waiting.length >= this.#most) this.#writeWaiting();
    else this.#cancelTimer ??= this.#options.clock.after(gatherMs, () => this.#writeWaiting());
    while (this.#waiting.length >= this.#most) await this.#write;
    if (this.#options.unwritten.isOver) await this.settle();
  }

  /** Settles when all pieces have been written, or could not be. Never throws. */
  async settle(): Promise<void> {
    this.#writeWaiting();
    await this.#writing;
  }

  /** What waits is due; what comes while the target is busy may join it. */
  #writeWaiting(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#due = this.#waiting.length;
    if (this.#due > 0) this.#writing ??= this.#writeDue();
  }

  async #writeDue(): Promise<void> {
    while (this.#due > 0) {
      const pieces = this.#waiting.splice(0, this.#countNext());
      this.#due = Math.max(0, this.#due - pieces.length);
      this.#write = this.#options.target.write(...pieces).catch(this.#options.onFailure);
      await this.#write;
      for (const piece of pieces) this.#options.unwritten.remove(bytesOf(piece));
    }
    this.#writing = undefined;
  }

  /** Of those that wait, how many may be written at once. */
  #countNext(): number {
    const [first] = this.#waiting;
    const end = this.#waiting.findIndex(({ index }, at) => at === this.#most || index !== (first?.index ?? 0) + at);
    return end < 0 ? this.#waiting.length : end;
  }
}

function bytesOf({ chunks }: Piece): number {
  return chunks.reduce((sum, { bytes }) => sum + bytes.length, 0);
}
