/**
 * Turns at something that only a few may use at once: whoever has had the least of it is next.
 *
 * So one that wants little is not kept waiting by many that want much, whoever came first.
 * Invariant: at most `atOnce` turns are taken and not yet given back.
 */

export type EndTurn = () => void;

interface Waiting {
  readonly had: number;
  readonly begin: () => void;
}

export class Turns {
  readonly #atOnce: number;
  #taken = 0;
  /** In the order in which they came. */
  readonly #waiting: Waiting[] = [];

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** Settles once it is the turn of one that has `had` so much until now. Must be ended, once. Throws the signal's reason. */
  async take(had: number, signal?: AbortSignal): Promise<EndTurn> {
    signal?.throwIfAborted();
    if (this.#taken < this.#atOnce) this.#taken += 1;
    else await this.#wait(had, signal);
    return () => this.#end();
  }

  #wait(had: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(signal?.reason);
      };
      const begin = () => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const waiting = { had, begin };
      this.#waiting.push(waiting);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  #end(): void {
    let next = 0;
    for (const [index, { had }] of this.#waiting.entries()) {
      if (had < (this.#waiting[next]?.had ?? 0)) next = index;
    }
    const [waiting] = this.#waiting.splice(next, 1);
    if (waiting) waiting.begin();
    else this.#taken -= 1;
  }
}

/** Turns of which each owner has as many as any other, however often it asks. */
export class OwnerTurns {
  readonly #turns: Turns;
  /** How many turns each owner has or waits for. */
  readonly #asked = new Map<string, number>();

  constructor(atOnce: number) {
    this.#turns = new Turns(atOnce);
  }

  /** Settles once it is a turn of `owner`. Must be ended. Throws the signal's reason once that aborts. */
  async take(owner: string, signal: AbortSignal): Promise<EndTurn> {
    const asked = this.#asked.get(owner) ?? 0;
    this.#asked.set(owner, asked + 1);
    const leave = () => {
      const left = (this.#asked.get(owner) ?? 1) - 1;
      if (left > 0) this.#asked.set(owner, left);
      else this.#asked.delete(owner);
    };
    try {
      const endTurn = await this.#turns.take(asked, signal);
      return () => {
        endTurn();
        leave();
      };
    } catch (error) {
      leave();
      throw error;
    }
  }
}
