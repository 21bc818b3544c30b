/**
 * What lies below a directory of the root, frame by frame and as fast as the client takes it.
 *
 * Depth first, the names of each directory in the order of their bytes, so that
 * the same tree always gives the same listing. Links are told and never followed.
 * Invariant: what it holds does not depend on how large a directory is; name-room.ts says how much that is.
 * Format: docs/protocol/requests.md#directories
 */

import path from 'node:path';
import { HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import { type Held, type Hold, hold } from '../../io/disk/held.ts';
import { holdBelow, openError } from '../../io/disk/reading/below-root.ts';
import type { AnswerOf, Listed } from '../../wire/native/messages.ts';
import { EntryLooks } from './entry-looks.ts';
import { entryOf, type KnownDigest } from './listed-entry.ts';
import { ListingDisk } from './listing-disk.ts';
import type { NameHolder, NameRoom } from './name-room.ts';
import { OrderedNames } from './ordered-names.ts';
import { type ListingView, ShownEntries } from './shown-entries.ts';

/** Entries that are looked at before their turn. */
const looksAhead = 32;

/** Bytes of entries after which a frame leaves; one more entry, of the longest, still fits under the cap of a header. */
const frameBytes = 32 * 1024;

type Frame = AnswerOf<'listing'>;

/** A directory that the walk is in. */
interface Level {
  readonly real: string;
  /** What comes before the names of its entries. */
  readonly prefix: string;
  readonly names: OrderedNames;
  ready: Listed[];
}

export interface ListingOptions {
  /** For whom it is: the turns at the disk are shared among owners. */
  readonly owner?: string | undefined;
  /** How what is looked at is held. @default as everything else */
  readonly by?: Hold | undefined;
  /** What may be seen of the directory with this real path. @default all */
  readonly view?: ((real: string) => ListingView) | undefined;
  /** How many levels of what is below the directory are listed. @default all */
  readonly depth?: number | undefined;
  /** Tells digests along with files. @default none are told */
  readonly knownDigest?: KnownDigest | undefined;
}

export class Listing implements NameHolder {
  readonly #limits: Limits;
  readonly #room: NameRoom;
  readonly #levels: Level[] = [];
  readonly #top: string;
  readonly #disk: ListingDisk;
  readonly #shown: ShownEntries;
  readonly #looks: EntryLooks;
  readonly #depth: number;
  #isBegun = false;
  #entries = 0;
  #namesTaken = 0;

  private constructor(
    top: string,
    name: string,
    limits: Limits,
    room: NameRoom,
    { by = hold, owner, view, depth = Number.POSITIVE_INFINITY, knownDigest }: ListingOptions,
  ) {
    this.#room = room;
    this.#top = top;
    this.#disk = new ListingDisk(by, room.turns, owner);
    this.#shown = new ShownEntries(view?.(top), depth);
    this.#looks = new EntryLooks({ name, maxNameBytes: limits.maxNameBytes, shown: this.#shown, knownDigest });
    this.#depth = depth;
    this.#limits = limits;
  }

  /**
   * Opens the directory `name` below `root`, which must be a real path.
   * Throws `FILE_NOT_FOUND`, `FILE_DENIED`, `FILE_UNREADABLE`.
   */
  static async open(
    root: string,
    name: string,
    limits: Limits,
    room: NameRoom,
    options: ListingOptions = {},
  ): Promise<Listing> {
    let held: Held | undefined;
    try {
      held = await holdBelow(root, name, limits.maxNameBytes, options.by);
      if (!held.stats.isDirectory()) throw new HoplineError('FILE_DENIED', 'the name is not that of a directory');
      return new Listing(held.real, name, limits, room, options);
    } catch (error) {
      throw openError(error);
    } finally {
      await held?.close();
    }
  }

  /** What there is to say once the last frame is made. */
  get summary() {
    return { entries: this.#entries, ...this.#looks.skipped, firstBadName: this.#looks.firstBad };
  }

  /** The next LISTING. Throws `LIMIT_LISTING`; on the first call, `FILE_DENIED`, `FILE_UNREADABLE` and what hides the directory. */
  async nextFrame(): Promise<Frame> {
    const entries: Listed[] = [];
    let bytes = 0;
    while (bytes < frameBytes) {
      const entry = await this.#next();
      if (!entry) {
        const { refusal } = this.#shown;
        if (refusal) throw refusal;
        return { type: 'listing', entries, last: true, skipped: this.#looks.skipped };
      }
      const shown = this.#shown.take(entry);
      // Whoever sees a directory alone need not know more than that there is something to see in it.
      if (shown.length > 0) this.#leave(this.#depth);
      this.#entries += shown.length;
      for (const each of shown) bytes += Buffer.byteLength(JSON.stringify(each));
      entries.push(...shown);
    }
    return { type: 'listing', entries, last: false };
  }

  /** Waits for the client to take a frame; meanwhile the names may make room for a listing that goes on. */
  async pauseFor(sent: Promise<void>): Promise<void> {
    this.#room.lend(this);
    try {
      await sent;
    } finally {
      this.#room.reclaim(this);
    }
  }

  /** There is nobody to list for: what goes on throws `PEER_LOST` soon. */
  abandon(): void {
    this.#disk.abandon();
  }

  giveUp(): void {
    for (const { names } of this.#levels) names.giveUp();
  }

  /** Must be called, at the end or before it. */
  close(): void {
    this.giveUp();
    this.#levels.length = 0;
  }

  /** The next entry, the directory itself first; undefined at the end. */
  async #next(): Promise<Listed | undefined> {
    if (!this.#isBegun) return this.#begin();
    for (let level = this.#levels.at(-1); level; level = this.#levels.at(-1)) {
      const entry = level.ready.shift();
      if (entry) {
        if (entry.kind === 'directory' && this.#isToEnter(entry.path)) await this.#tryToEnter(entry.path);
        return entry;
      }
      if (!(await this.#lookAhead(level))) this.#leave(this.#levels.length - 1);
    }
    return undefined;
  }

  #isToEnter(relative: string): boolean {
    return this.#levels.length < this.#depth || this.#shown.onlyLeads(relative);
  }

  /** Leaves directories until it is in `levels` of them at most. */
  #leave(levels: number): void {
    while (this.#levels.length > levels) this.#levels.pop()?.names.giveUp();
  }

  async #begin(): Promise<Listed> {
    this.#isBegun = true;
    const onlyLeads = this.#shown.onlyLeads('');
    try {
      const stats = await this.#disk.look(this.#top, 1, async ({ stats }) => stats);
      const top = entryOf(stats, '');
      if (onlyLeads) await this.#tryToEnter('');
      else if (this.#depth > 0) await this.#enter(this.#top, '');
      return top;
    } catch (error) {
      throw openError(error);
    }
  }

  /** A directory that cannot be read is told without what is in it. */
  async #tryToEnter(relative: string): Promise<void> {
    try {
      await this.#enter(path.join(this.#top, relative), relative === '' ? '' : `${relative}/`);
    } catch (error) {
      if (endsListing(error)) throw error;
      this.#looks.skipped.unreadable += 1;
    }
  }

  /** Throws what the system says, `FILE_DENIED`, `LIMIT_LISTING`. */
  async #enter(real: string, prefix: string): Promise<void> {
    const { maxListDepth } = this.#limits;
    if (this.#levels.length >= maxListDepth) {
      throw new HoplineError('LIMIT_LISTING', `directories lie in each other more than ${maxListDepth} deep`);
    }
    const room = this.#room.open(this.#limits.maxListHeldBytes);
    const names = new OrderedNames({ read: (take) => this.#disk.readNames(real, take), room });
    this.#levels.push({ real, prefix, names, ready: [] });
    try {
      await names.fill(this.#namesLeft);
    } catch (error) {
      this.#leave(this.#levels.length - 1);
      throw error;
    }
  }

  get #namesLeft(): number {
    return this.#limits.maxListEntries - this.#namesTaken;
  }

  /** Whether there was anything left. A directory that has become unreadable ends there. */
  async #lookAhead(level: Level): Promise<boolean> {
    let names: readonly string[] = [];
    try {
      names = await level.names.take(looksAhead, this.#namesLeft);
      this.#namesTaken += names.length;
      if (names.length === 0) return false;
      const look = (held: Held) => this.#looks.look(held, level.prefix, names);
      level.ready = await this.#disk.look(level.real, names.length, look);
    } catch (error) {
      if (endsListing(error)) throw error;
      this.#looks.countUnreadable(error, Math.max(1, names.length));
    }
    return names.length > 0;
  }
}

/** Whether it concerns all of the listing, and not one directory. */
function endsListing(error: unknown): boolean {
  const { code } = openError(error);
  return code === 'LIMIT_LISTING' || code === 'PEER_LOST';
}
