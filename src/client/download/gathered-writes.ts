/**
 * Verified pieces on their way to the target: several that follow one another are written at once, where they come quickly.
 *
 * A write costs a hand-over between threads and a wait for the disk, however long it is (docs/kernel-path.md).
 * Invariant: pieces are written in the order in which they came, and wait at most `gatherMs` for others; of those that are
 * being written and those that wait there are at most as many as the target takes at once.
 */

import type { Clock } from '../../core/clock.ts';
import type { Piece, Target } from '../../io/disk/writing/target.ts';

/** What it costs to be killed; on a circuit that brings less than a piece in that time, pieces do not wait for long either. */
const gatherMs = 50;

export interface GatheredWritesOptions {
  readonly target: Pick<Target, 'write' | 'piecesAtOnce'>;
  readonly clock: Clock;
  /** Told what a write failed with. */
  readonly onFailure: (failure: unknown) => void;
}

export class GatheredWrites {
  readonly #options: GatheredWritesOptions;
  #waiting: Piece[] = [];
  #cancelWrite: (() => void) | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: GatheredWritesOptions) {
    this.#options = options;
  }

  /** Takes a piece, behind which the next one of the file follows soon or does not; settles when another may come. Never throws. */
  async add(piece: Piece, isFollowed: boolean): Promise<void> {
    const { target, clock } = this.#options;
    const last = this.#waiting.at(-1);
    if (last && last.index + 1 !== piece.index) await this.#write();
    this.#waiting.push(piece);
    if (!isFollowed || this.#waiting.length >= (target.piecesAtOnce ?? 1)) await this.#write();
    else this.#cancelWrite ??= clock.after(gatherMs, () => void this.#write());
  }

  /** Settles when all pieces have been written, or could not be. Never throws. */
  async settle(): Promise<void> {
    await this.#write();
    await this.#writing;
  }

  /** Gives the target what waits, once that has taken what came before, for which the caller waits. */
  async #write(): Promise<void> {
    this.#cancelWrite?.();
    this.#cancelWrite = undefined;
    const before = this.#writing;
    if (this.#waiting.length > 0) this.#writing = this.#writeBehind(before, this.#waiting);
    this.#waiting = [];
    await before;
  }

  async #writeBehind(before: Promise<void>, pieces: readonly Piece[]): Promise<void> {
    await before;
    await this.#options.target.write(...pieces).catch(this.#options.onFailure);
  }
}
