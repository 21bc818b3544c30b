/**
 * The pieces of one file: which are missing, which are on their way, which have arrived, and whose word each is.
 *
 * Hands pieces out, never the same twice at a time unless someone wants to race
 * for one. Knows nothing about circuits or disks.
 * Invariant: a piece that has arrived stays arrived; the file is whole when one key and version vouch for all of it.
 * Rules: docs/resume.md#versions
 */

import type { Vouched, Voucher } from '../../io/disk/writing/target.ts';

/** Whoever fetches pieces; how much it still has to bring decides whom the others help. */
export interface Fetcher {
  /** The pieces that were asked for and have not come, in their order. */
  readonly asked: readonly number[];
  /** Bytes per millisecond so far. */
  readonly speed: number;
}

interface Coverage {
  readonly voucher: Voucher;
  readonly pieces: Uint8Array;
  count: number;
}

export class PieceMap {
  readonly count: number;
  readonly #maxEarly: number;
  readonly #digests: (string | undefined)[];
  readonly #onTheWay: Uint8Array;
  readonly #coverage = new Map<string, Coverage>();
  /** Given back, to be handed out before any other. */
  readonly #returned: number[] = [];
  readonly #waiting = new Set<() => void>();
  #next = 0;
  #firstMissing = 0;
  #arrived = 0;

  /**
   * `left` are the pieces that are there already, for which nobody vouches in this run yet, whatever was written down of
   * them; no piece is handed out `maxEarly` or more beyond the first missing one.
   */
  constructor(count: number, left: ReadonlyMap<number, Vouched>, maxEarly = Number.POSITIVE_INFINITY) {
    this.count = count;
    this.#maxEarly = maxEarly;
    this.#digests = new Array(count);
    this.#onTheWay = new Uint8Array(count);
    for (const [index, { digest }] of left) this.#arrive(index, digest);
  }

  get arrived(): number {
    return this.#arrived;
  }

  get isComplete(): boolean {
    return this.#arrived === this.count;
  }

  hasArrived(index: number): boolean {
    return this.#digests[index] !== undefined;
  }

  /** The digests of all pieces in their order, in hex. The map must be complete. */
  get digests(): readonly string[] {
    return this.#digests as string[];
  }

  digestOf(index: number): string | undefined {
    return this.#digests[index];
  }

  /**
   * The next piece to fetch, which counts as on its way from now on; undefined if none may be asked for now. Whoever asks
   * with another `maxEarly` looks whether a piece `isTooEarly` when it comes.
   */
  take(maxEarly = this.#maxEarly): number | undefined {
    for (let index = this.#returned.shift(); index !== undefined; index = this.#returned.shift()) {
      if (!this.hasArrived(index) && this.#onTheWay[index] === 0) return this.#send(index);
    }
    while (this.#next < this.count && (this.hasArrived(this.#next) || this.#onTheWay[this.#next] !== 0))
      this.#next += 1;
    if (this.#next >= this.count || this.#next - this.#firstMissing >= maxEarly) return undefined;
    return this.#send(this.#next);
  }

  /** Whether a piece has come so far ahead of the first missing one that it must not be held. */
  isTooEarly(index: number): boolean {
    return index - this.#firstMissing >= this.#maxEarly;
  }

  /** A piece that someone else is to bring, and will bring latest of all; undefined if each of them is raced for already. */
  takeSlowest(fetchers: Iterable<Fetcher>): number | undefined {
    let slowest: number | undefined;
    let latest = -1;
    for (const { asked, speed } of fetchers) {
      for (const [place, index] of asked.entries()) {
        const due = (place + 1) / Math.max(speed, Number.MIN_VALUE);
        if (due <= latest || this.hasArrived(index) || this.#onTheWay[index] !== 1) continue;
        latest = due;
        slowest = index;
      }
    }
    return slowest === undefined ? undefined : this.#send(slowest);
  }

  /** The piece will not come from whoever took it. */
  giveBack(index: number): void {
    this.#onTheWay[index] = Math.max(0, (this.#onTheWay[index] ?? 0) - 1);
    if (this.hasArrived(index) || this.#onTheWay[index] !== 0) return;
    this.#returned.push(index);
    this.tell();
  }

  /** The piece has arrived with this digest. */
  settle(index: number, { digest, ...voucher }: Vouched): void {
    if (!this.hasArrived(index)) this.#arrive(index, digest);
    this.vouch(index, voucher);
    this.tell();
  }

  /** The digest that the piece has was shown by `voucher`. */
  vouch(index: number, voucher: Voucher): void {
    const coverage = this.#coverageOf(voucher);
    coverage.count += 1 - (coverage.pieces[index] ?? 0);
    coverage.pieces[index] = 1;
  }

  /** The pieces that have arrived and that `voucher` does not vouch for yet. */
  unproven(voucher: Voucher): number[] {
    const { count, pieces } = this.#coverageOf(voucher);
    if (count === this.#arrived) return [];
    return [...this.#digests.keys()].filter((index) => this.hasArrived(index) && pieces[index] !== 1);
  }

  /** Who vouches for every piece; of a file without any, the first who was heard of. */
  get provenBy(): Voucher | undefined {
    for (const { voucher, count } of this.#coverage.values()) if (count === this.count) return voucher;
    return undefined;
  }

  /** Settles at the next change of what can be taken. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  /** One version by two keys is two men's word. */
  #coverageOf(voucher: Voucher): Coverage {
    const name = `${voucher.key ?? ''} ${voucher.version}`;
    const coverage = this.#coverage.get(name) ?? { voucher, pieces: new Uint8Array(this.count), count: 0 };
    this.#coverage.set(name, coverage);
    return coverage;
  }

  #arrive(index: number, digest: string): void {
    this.#digests[index] = digest;
    this.#arrived += 1;
    while (this.#firstMissing < this.count && this.hasArrived(this.#firstMissing)) this.#firstMissing += 1;
  }

  #send(index: number): number {
    this.#onTheWay[index] = (this.#onTheWay[index] ?? 0) + 1;
    return index;
  }

  /** Lets those who wait for a change look again. */
  tell(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
