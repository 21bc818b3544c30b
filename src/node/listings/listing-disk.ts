/**
 * The disk as one listing uses it: in turns with all other listings, and a directory for one look at a time.
 *
 * Owns no descriptor while it waits for anything but its turn, so that no client that makes a listing wait keeps any.
 * Invariant: what is told of a directory is of the one whose real path was asked for.
 */

import type { Dir } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { HoplineError } from '../../core/errors.ts';
import type { Turns } from '../../core/work/turns.ts';
import type { Held, Hold } from '../../io/disk/held.ts';
import { outside } from '../../io/disk/reading/below-root.ts';

/** Looks in one turn of the event loop, where none of them waits for the disk. */
const looksAtOnce = 8;
/** Names that are read from a directory in one go. */
const namesAtOnce = 1024;

export class ListingDisk {
  readonly #hold: Hold;
  readonly #turns: Turns;
  readonly #owner: string | undefined;
  /** Names that were read, and entries that were looked at. */
  #work = 0;
  readonly #gone = new AbortController();
  #looks = 0;

  /** `owner`: whose turns it takes. */
  constructor(hold: Hold, turns: Turns, owner?: string) {
    this.#hold = hold;
    this.#turns = turns;
    this.#owner = owner;
  }

  /** There is nobody to list for: what goes on throws `PEER_LOST`, at its next turn or while it waits for one. */
  abandon(): void {
    this.#gone.abort(new HoplineError('PEER_LOST', 'the client has left'));
  }

  /**
   * What `look` finds out about `entries` entries of the directory whose real path is `real`; nothing if a link leads
   * there by now. Throws what the system says, `FILE_DENIED`, and `PEER_LOST` once abandoned.
   */
  async look<Found>(real: string, entries: number, look: (held: Held) => Promise<Found>): Promise<Found> {
    this.#looks += 1;
    if (this.#looks % looksAtOnce === 0) await nextTurn();
    return this.#inTurn(entries, () => this.#inside(real, look));
  }

  /** Hands over the names in the directory, from the first one, in batches: each as its bytes, a character each. Throws as `look`. */
  readNames(real: string, take: (names: readonly string[]) => void): Promise<void> {
    return this.#inside(real, async (held) => {
      const directory = await opendir(held.way(), { encoding: 'latin1', bufferSize: namesAtOnce });
      try {
        for (let isWhole = false; !isWhole; ) {
          const names = await this.#inTurn(namesAtOnce, () => readBatch(directory));
          take(names);
          isWhole = names.length < namesAtOnce;
        }
      } finally {
        await directory.close();
      }
    });
  }

  async #inside<Found>(real: string, look: (held: Held) => Promise<Found>): Promise<Found> {
    const held = await this.#hold(real);
    try {
      if (held.real !== real) throw outside();
      const found = await look(held);
      await held.check();
      return found;
    } finally {
      await held.close();
    }
  }

  async #inTurn<Result>(amount: number, work: () => Promise<Result>): Promise<Result> {
    const end = await this.#turns.take({ owner: this.#owner, had: this.#work, signal: this.#gone.signal });
    try {
      this.#work += amount;
      return await work();
    } finally {
      end();
    }
  }
}

async function readBatch(directory: Dir): Promise<readonly string[]> {
  const names: string[] = [];
  while (names.length < namesAtOnce) {
    const entry = await directory.read();
    if (!entry) break;
    names.push(entry.name);
  }
  return names;
}
