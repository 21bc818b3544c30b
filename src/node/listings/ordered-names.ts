/**
 * The names of one directory in the order of their bytes, a few at a time, from memory that does not grow with the directory.
 *
 * Where the names do not all fit into the room that there is for them, the first ones are held, and the directory is
 * read again for those that come next. The same happens when they had to make room for somebody else's.
 * Does not know how a directory is opened.
 * Invariant: no name comes twice; one that is there all the time comes.
 */

import { HoplineError } from '../../core/errors.ts';
import type { HeldRoom } from './name-room.ts';

/** What a name takes in memory beside its characters. */
const overheadBytes = 32;

/** Reads a directory from its beginning and hands over its names in batches: each as its bytes, a character each. */
type ReadNames = (take: (names: readonly string[]) => void) => Promise<void>;

export interface OrderedNamesOptions {
  readonly read: ReadNames;
  readonly room: HeldRoom;
}

export class OrderedNames {
  readonly #read: ReadNames;
  readonly #room: HeldRoom;
  #names: readonly string[] = [];
  #next = 0;
  /** The last one that was taken: what is read from now on comes behind it. */
  #last: string | undefined;
  /** Whether nothing comes behind `#names`. */
  #isWhole = false;

  constructor({ read, room }: OrderedNamesOptions) {
    this.#read = read;
    this.#room = room;
  }

  /**
   * The next names, at most `count`; none at the end. Throws what `read` throws, and `LIMIT_LISTING` if more than
   * `maxNames` are still to come.
   */
  async take(count: number, maxNames: number): Promise<readonly string[]> {
    await this.fill(maxNames);
    const names = this.#names.slice(this.#next, this.#next + count);
    this.#next += names.length;
    this.#last = names.at(-1) ?? this.#last;
    return names;
  }

  /** Sees to it that there are names to take, unless there are none. Throws as `take`. */
  async fill(maxNames: number): Promise<void> {
    if (this.#isWhole || this.#next < this.#names.length) return;
    this.#names = await this.#readNames(maxNames);
    this.#next = 0;
  }

  /** Lets go of all that is held. */
  giveUp(): void {
    this.#names = [];
    this.#next = 0;
    this.#isWhole = false;
    this.#room.giveBack();
  }

  async #readNames(maxNames: number): Promise<readonly string[]> {
    const last = this.#last;
    let names: string[] = [];
    let bytes = 0;
    let seen = 0;
    let tooFar: string | undefined;
    await this.#read((batch) => {
      const news = last === undefined ? batch : batch.filter((name) => name > last);
      seen += news.length;
      if (seen > maxNames) throw new HoplineError('LIMIT_LISTING', 'there are more entries than the node lists');
      for (const name of news) {
        if (tooFar !== undefined && name >= tooFar) continue;
        names.push(name);
        bytes += costOf(name);
      }
      if (this.#hasRoom(bytes)) return;
      names.sort();
      // A quarter less, so that it is not full again at once.
      const fitting = countFitting(names, (this.#room.bytes / 4) * 3);
      tooFar = names[fitting.count];
      names = names.slice(0, fitting.count);
      bytes = fitting.bytes;
    });
    this.#isWhole = tooFar === undefined;
    return names.sort();
  }

  #hasRoom(bytes: number): boolean {
    while (bytes > this.#room.bytes) {
      if (!this.#room.extend()) return false;
    }
    return true;
  }
}

/** How many of `names`, from the first one, take no more than `most` bytes. */
function countFitting(names: readonly string[], most: number): { count: number; bytes: number } {
  let count = 0;
  let bytes = 0;
  for (const name of names) {
    if (bytes + costOf(name) > most) break;
    bytes += costOf(name);
    count += 1;
  }
  return { count, bytes };
}

function costOf(name: string): number {
  return name.length + overheadBytes;
}
