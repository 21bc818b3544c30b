/**
 * Turns at a resource that only a few may use at once: the user that has had the least of it is next.
 *
 * Turns go by owners first: each owner has as many turns as any other, however often it asks. Within an owner they go by
 * how much each of its uses has had. So a use that wants little is not kept waiting by many that want much.
 * Invariant: at most `atOnce` turns are taken and not yet given back.
 */

import type { Signal } from '../signal.ts';

export type EndTurn = () => void;

interface Claim {
  /** Any text that stands for whoever asks. @default one owner for all */
  readonly owner?: string | undefined;
  /** What this use has had until now. @default 0 */
  readonly had?: number | undefined;
  readonly signal?: Signal | undefined;
}

interface Waiting {
  readonly had: number;
  readonly begin: () => void;
}

interface Owner {
  /** Turns that it has now. */
  taken: number;
  /** In the order in which they came. */
  readonly waiting: Waiting[];
}

export class Turns {
  readonly #atOnce: number;
  #taken = 0;
  /** Those that have a turn or wait for one; whose last turn is the longest ago, first. */
  readonly #owners = new Map<string, Owner>();

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** Settles once it is the turn. Must be ended, once. Throws the signal's reason. */
  async take({ owner: name = '', had = 0, signal }: Claim): Promise<EndTurn> {
    signal?.throwIfAborted();
    const owner = this.#owners.get(name) ?? { taken: 0, waiting: [] };
    this.#owners.set(name, owner);
    if (this.#taken < this.#atOnce) this.#begin(name, owner);
    else await this.#wait(name, owner, had, signal);
    return () => this.#end(name, owner);
  }

  #begin(name: string, owner: Owner): void {
    this.#taken += 1;
    owner.taken += 1;
    this.#owners.delete(name);
    this.#owners.set(name, owner);
  }

  #wait(name: string, owner: Owner, had: number, signal: Signal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        owner.waiting.splice(owner.waiting.indexOf(waiting), 1);
        this.#forgetIdle(name, owner);
        reject(signal?.reason);
      };
      const begin = () => {
        signal?.removeEventListener('abort', leave);
        this.#begin(name, owner);
        resolve();
      };
      const waiting = { had, begin };
      owner.waiting.push(waiting);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  #end(name: string, owner: Owner): void {
    this.#taken -= 1;
    owner.taken -= 1;
    this.#forgetIdle(name, owner);
    const waiting = leastBy(this.#owners.values(), (one) => (one.waiting.length > 0 ? one.taken : Infinity))?.waiting;
    const next = waiting && leastBy(waiting, ({ had }) => had);
    if (!next) return;
    waiting.splice(waiting.indexOf(next), 1);
    next.begin();
  }

  #forgetIdle(name: string, owner: Owner): void {
    if (owner.taken === 0 && owner.waiting.length === 0) this.#owners.delete(name);
  }
}

/** The first of those that have the least. */
function leastBy<T>(all: Iterable<T>, of: (one: T) => number): T | undefined {
  let least: T | undefined;
  for (const one of all) {
    if (least === undefined || of(one) < of(least)) least = one;
  }
  return least;
}
