/**
 * What all listings of a node share: room in memory for names, and turns at the disk.
 *
 * Owns how many bytes of names are held, and whose names go when there is no room. Does not know directories.
 * A listing that waits for its client lends its names: whoever goes on may have the room, those that
 * have waited longest first. What was taken is read again from the directory later, so nothing is lost but time.
 * Invariant: no more is held than the limit, and `leastBytes` for each directory that a listing is in.
 */

import { Turns } from '../../core/work/turns.ts';

/** What may be asked to give its names up. */
export interface NameHolder {
  /** Lets all names go, and gives their room back. */
  giveUp(): void;
}

/** What each directory may hold, whether there is room or not: so that every listing comes to its end. */
const leastBytes = 64 * 1024;
/** What one directory holds at most: sorting more would keep everybody else waiting for too long. */
const mostBytes = 2 * 1024 * 1024;
const stepBytes = 64 * 1024;
/** Listings that use the disk at once: the others wait, and so what else is read of the disk does not. */
const turnsAtOnce = 2;

export class NameRoom {
  /** Each for a batch of names, or of entries that are looked at. */
  readonly turns = new Turns(turnsAtOnce);
  #held = 0;
  /** In the order in which they began to wait. */
  readonly #lent = new Set<NameHolder>();

  /** Bytes of names that are held now. */
  get held(): number {
    return this.#held;
  }

  /** Room for the names of one directory. */
  open(maxBytes: number): HeldRoom {
    return new HeldRoom((bytes) => this.#grow(bytes, maxBytes));
  }

  /** From now on the names of `holder` may be taken, until it is reclaimed. */
  lend(holder: NameHolder): void {
    this.#lent.add(holder);
  }

  reclaim(holder: NameHolder): void {
    this.#lent.delete(holder);
  }

  /** Changes what one directory holds by `bytes`; false if there is no room for more. */
  #grow(bytes: number, maxBytes: number): boolean {
    for (const holder of this.#lent) {
      if (this.#held + bytes <= maxBytes) break;
      this.#lent.delete(holder);
      holder.giveUp();
    }
    if (bytes > 0 && this.#held + bytes > maxBytes) return false;
    this.#held += bytes;
    return true;
  }
}

/** What one directory may hold; grows with its names as long as there is room. */
class HeldRoom {
  readonly #grow: (bytes: number) => boolean;
  #extra = 0;

  constructor(grow: (bytes: number) => boolean) {
    this.#grow = grow;
  }

  get bytes(): number {
    return leastBytes + this.#extra;
  }

  /** Whether `bytes` has become more. */
  extend(): boolean {
    if (this.bytes + stepBytes > mostBytes || !this.#grow(stepBytes)) return false;
    this.#extra += stepBytes;
    return true;
  }

  /** All that goes beyond the least. */
  giveBack(): void {
    this.#grow(-this.#extra);
    this.#extra = 0;
  }
}

export type { HeldRoom };
