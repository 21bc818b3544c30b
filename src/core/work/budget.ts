/**
 * Shares of something finite: how much of it one peer, and all peers together, hold now.
 *
 * Owns the count and the refusal. Does not know what is counted: bytes, names, circuits or lookups.
 * An owner is any text that stands for a peer; `ownerOf` makes one of an address.
 * Invariant: what is held is the sum of all shares that were taken and not yet given back; nobody holds more than
 * `perOwner`, and all together not more than `inAll`.
 */

import { isIPv4, isIPv6 } from 'node:net';
import { type ErrorCode, HoplineError } from '../errors.ts';

export interface BudgetOptions {
  /** What a refusal is called. */
  readonly code: ErrorCode;
  /** What is counted, in the plural: `uploads`. */
  readonly what: string;
  /** The most that one owner holds, and the name of that limit. */
  readonly perOwner: BudgetLimit;
  /** The most that all owners hold together, and the name of that limit. */
  readonly inAll: BudgetLimit;
}

export interface BudgetLimit {
  readonly most: number;
  readonly name: string;
}

/** A limit of this name, as it is at the moment: a reload may change it. */
export function limitNamed<Name extends string>(name: Name, limits: () => Readonly<Record<Name, number>>): BudgetLimit {
  return {
    get most() {
      return limits()[name];
    },
    name,
  };
}

/** Gives a share back; calls after the first do nothing. */
export type GiveBack = () => void;

export class Budget {
  readonly #options: BudgetOptions;
  readonly #held = new Map<string, number>();
  #total = 0;

  constructor(options: BudgetOptions) {
    this.#options = options;
  }

  /** What all owners hold together. */
  get total(): number {
    return this.#total;
  }

  heldBy(owner: string): number {
    return this.#held.get(owner) ?? 0;
  }

  /** Whether `owner` could take `amount` now. */
  has(owner: string, amount = 1): boolean {
    return this.#exceeded(owner, amount) === undefined;
  }

  /** Takes a share. Throws the code of the budget, with the limit that it would pass as `reason`. */
  take(owner: string, amount = 1): GiveBack {
    const exceeded = this.#exceeded(owner, amount);
    if (exceeded) {
      const { code, what, perOwner } = this.#options;
      const whose = exceeded === perOwner ? `for one peer` : 'in all';
      throw new HoplineError(code, `at most ${exceeded.most} ${what} ${whose} (${exceeded.name})`, {
        reason: exceeded.name,
      });
    }
    this.#add(owner, amount);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#add(owner, -amount);
    };
  }

  #exceeded(owner: string, amount: number): BudgetLimit | undefined {
    const { perOwner, inAll } = this.#options;
    if (this.heldBy(owner) + amount > perOwner.most) return perOwner;
    return this.#total + amount > inAll.most ? inAll : undefined;
  }

  #add(owner: string, amount: number): void {
    this.#total += amount;
    const held = this.heldBy(owner) + amount;
    if (held > 0) this.#held.set(owner, held);
    else this.#held.delete(owner);
  }
}

/**
 * The owner that a peer's address stands for: an IPv4 address itself, also when it is written as IPv6, and of an IPv6
 * address its network of 64 bits, since one host has all the addresses in there.
 */
export function ownerOf(address: string): string {
  if (isIPv4(address)) return address;
  const bare = address.replace(/%.*$/, '').toLowerCase();
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(bare);
  if (mapped) return mapped[1] as string;
  if (!isIPv6(bare)) return bare;
  const [head = '', tail] = bare.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  // An IPv4 address at the end stands for two groups.
  const groups = left.length + right.length + (bare.includes('.') ? 1 : 0);
  const all = tail === undefined ? left : [...left, ...Array<string>(8 - groups).fill('0'), ...right];
  return `${all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
