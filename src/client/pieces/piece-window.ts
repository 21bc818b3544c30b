/**
 * What a circuit owes: the pieces, or whole small files, that it was asked for ahead of their arrival.
 *
 * Knows when to ask for more, what others must be asked for when the circuit breaks, and how often something came damaged;
 * neither messages nor bytes. Invariant: answers come in the order of the requests, so the first that is due is the next.
 */

import type { Limits } from '../../core/limits.ts';

export class PieceWindow<Item> {
  readonly #limits: Pick<Limits, 'maxPieceRetries'>;
  readonly #most: number;
  readonly #due: Item[] = [];
  readonly #attempts = new Map<unknown, number>();

  /** At most `most` are due at a time. */
  constructor(most: number, limits: Pick<Limits, 'maxPieceRetries'>) {
    this.#most = most;
    this.#limits = limits;
  }

  /** What was asked for and has not come, in its order. */
  get due(): readonly Item[] {
    return this.#due;
  }

  get isFull(): boolean {
    return this.#due.length >= this.#most;
  }

  /**
   * What to ask for now, as `next` gives it until it has no more: nothing while more than half of `most` is due, since each
   * request on its own would wake every node on the route. From now on it is due.
   */
  askAhead(next: () => Item | undefined, most = this.#most): readonly Item[] {
    const before = this.#due.length;
    if (before > most / 2) return [];
    while (this.#due.length < most) {
      const item = next();
      if (item === undefined) break;
      this.add(item);
    }
    return this.#due.slice(before);
  }

  /** It was asked for. */
  add(item: Item): void {
    this.#due.push(item);
  }

  /** The first that was due has come. */
  shift(): void {
    this.#due.shift();
  }

  /** What will not come any more over this circuit, or is not wanted. */
  giveBack(): readonly Item[] {
    return this.#due.splice(0);
  }

  /** Counts that what goes by `name` came damaged: how often in a row, or undefined if that is too often to ask again. */
  damaged(name: unknown): number | undefined {
    const attempt = (this.#attempts.get(name) ?? 0) + 1;
    this.#attempts.set(name, attempt);
    return attempt > this.#limits.maxPieceRetries ? undefined : attempt;
  }

  /** It came as it should. */
  arrived(name: unknown): void {
    this.#attempts.delete(name);
  }
}
