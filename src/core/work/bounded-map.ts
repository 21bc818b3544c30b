/**
 * A map of bounded size: to take a new value in, it gives up the value that was set or used longest ago.
 *
 * Owns the order of use and the sum of the weights. Does not know what its values are, and ends none of them: the caller
 * that sets a value gets those that were given up.
 * Invariant: after each call, neither bound is passed.
 */

/** Read at each `set`, so that they may change. */
export interface Bounds {
  /** @default any number */
  readonly maxCount?: number;
  /** @default any weight */
  readonly maxWeight?: number;
}

interface Held<Value> {
  readonly value: Value;
  readonly weight: number;
}

export class BoundedMap<Key, Value> {
  readonly #bounds: Bounds;
  /** In the order of their last use. */
  readonly #held = new Map<Key, Held<Value>>();
  #weight = 0;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#held.size;
  }

  /** Of all values together. */
  get weight(): number {
    return this.#weight;
  }

  /** Leaves the order as it is. */
  get(key: Key): Value | undefined {
    return this.#held.get(key)?.value;
  }

  /** Says that a value was used; nothing happens if it is not there. */
  use(key: Key): void {
    const held = this.#held.get(key);
    if (!held) return;
    this.#held.delete(key);
    this.#held.set(key, held);
  }

  /** Sets a value as the one used last. Returns those that had to go, in their order; one that is too heavy by itself goes at once. */
  set(key: Key, value: Value, weight = 1): readonly Value[] {
    this.delete(key);
    this.#held.set(key, { value, weight });
    this.#weight += weight;
    const gone: Value[] = [];
    for (const [oldest, held] of this.#held) {
      if (!this.#isFull()) break;
      this.delete(oldest);
      gone.push(held.value);
    }
    return gone;
  }

  /** Whether it was there. */
  delete(key: Key): boolean {
    this.#weight -= this.#held.get(key)?.weight ?? 0;
    return this.#held.delete(key);
  }

  /** The one used longest ago first. */
  *values(): IterableIterator<Value> {
    for (const { value } of this.#held.values()) yield value;
  }

  #isFull(): boolean {
    const { maxCount = Number.POSITIVE_INFINITY, maxWeight = Number.POSITIVE_INFINITY } = this.#bounds;
    return this.#held.size > maxCount || this.#weight > maxWeight;
  }
}
