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

  /** Settles once it is the turn of one that has `had` so much until now. Must be ended, once. */
  async take(had: number): Promise<EndTurn> {
    if (this.#taken < this.#atOnce) this.#taken += 1;
    else await new Promise<void>((begin) => this.#waiting.push({ had, begin }));
    return () => this.#end();
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

  /** Settles once it is a turn of `owner`. Must be ended. Throws the signal's reason if it has aborted by then. */
  async take(owner: string, signal: AbortSignal): Promise<EndTurn> {
    const asked = this.#asked.get(owner) ?? 0;
    this.#asked.set(owner, asked + 1);
    const endTurn = await this.#turns.take(asked);
    const end = () => {
      endTurn();
      const left = (this.#asked.get(owner) ?? 1) - 1;
      if (left > 0) this.#asked.set(owner, left);
      else this.#asked.delete(owner);
    };
    if (!signal.aborted) return end;
    end();
    throw signal.reason;
  }
}
