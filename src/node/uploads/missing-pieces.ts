/**
 * Which pieces of an upload are missing still.
 *
 * Knows neither bytes nor files. Invariant: a piece that is here stays here.
 */

type MissingRange = [first: number, count: number];

export class MissingPieces {
  readonly #has: Uint8Array;
  #count: number;

  /** All of `pieces` but those that are here. */
  constructor(pieces: number, here: Iterable<number>) {
    this.#has = new Uint8Array(pieces);
    this.#count = pieces;
    for (const index of here) this.remove(index);
  }

  /** How many they are. */
  get count(): number {
    return this.#count;
  }

  has(index: number): boolean {
    return this.#has[index] === 0;
  }

  /** The piece is here. */
  remove(index: number): void {
    if (!this.has(index)) return;
    this.#has[index] = 1;
    this.#count -= 1;
  }

  /** In their order; where they are more than `most` ranges, the last one reaches to the end. */
  ranges(most = Number.POSITIVE_INFINITY): MissingRange[] {
    const ranges: MissingRange[] = [];
    for (let first = this.#has.indexOf(0); first >= 0; ) {
      const next = ranges.length === most - 1 ? -1 : this.#has.indexOf(1, first);
      const end = next < 0 ? this.#has.length : next;
      ranges.push([first, end - first]);
      first = next < 0 ? -1 : this.#has.indexOf(0, end);
    }
    return ranges;
  }
}
